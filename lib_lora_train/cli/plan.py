"""``plan``: prints a job file for a goal, with the reason and source of each value as comments."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..advice.families import FAMILIES, FamilyAdvice
from ..advice.family_defaults import choose_base, family_defaults
from ..advice.goals.costs import Cost, cost_of, steps_around
from ..advice.goals.plan import RULES, Plan, plan_for
from ..advice.goals.rule import Facts, job_with
from ..advice.goals.wishes import rules_table, wishes_table
from ..advice.memory import in_gb
from ..advice.size import read_header
from ..config.groups.goal import GoalSettings
from ..config.load import read_flat
from ..config.setting import fields_of
from ..config.text_yaml import read_typed, write_yaml
from ..errors import ConfigError
from ..models.prediction import VELOCITY, detect_base
from ..pictures.scan import survey
from .settings import explained
from .usage import options_of

_WIDTH = 112
_FAMILIES = ("SD 1.x", "SD 2.x", "SD 2.x 768-v", "SDXL", "SSD-1B")


def plan_command(arguments: list[str]) -> int:
    """Print the plan. Raises ``ConfigError`` if an answer is invalid."""
    options = options_of("plan", arguments)
    if options.markdown:
        print(f"{wishes_table()}\n\n{rules_table()}")
        return 0
    if not options.answers:
        print("\n".join(explained(field) for field in fields_of("", GoalSettings)))
        return 0
    goal, facts = _facts(_goal(options.answers))
    print("\n".join(lines_of(goal, plan_for(goal, facts), facts)))
    return 0


def _goal(words: Sequence[str]) -> GoalSettings:
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise ConfigError(f"{word!r} cannot be read. Write each answer as name=value, such as kind=style.")
        values[name.strip()] = read_typed(text)
    goal, problems = read_flat(GoalSettings, values, source="The goal")
    if goal.family and goal.family not in FAMILIES:
        problems.append(f"The goal: family is {goal.family!r}. Choose one of: {', '.join(FAMILIES)}.")
    if problems:
        raise ConfigError(problems)
    return goal


def _facts(goal: GoalSettings) -> tuple[GoalSettings, Facts]:
    """``goal`` with its images counted, and the facts. Raises ``DatasetError``."""
    family, defaults, shapes = _base(goal)
    form: dict[str, dict[str, Any]] = {}
    given = {"base.checkpoint": goal.checkpoint, "dataset.train_data_dir": goal.train_data_dir,
             "save.output_name": goal.output_name, **defaults}
    given.pop("sample.cfg_scale", None)  # a plan has no sample prompts; a job that gets some gets its base's default
    for key, value in given.items():
        group, name = key.split(".")
        form.setdefault(group, {})[name] = value
    facts = Facts(family, goal.images, shapes=shapes, form=form)
    if not goal.train_data_dir:
        return goal, facts
    settings = job_with(facts.form, {}).dataset
    dataset = survey(settings)
    goal = dataclasses.replace(goal, images=len(dataset.pictures))
    concepts = {concept.name: concept.repeats * concept.pictures for concept in dataset.concepts}
    facts = facts.with_images(dataset.pictures, settings.dataset_repeats)
    return goal, dataclasses.replace(facts, concepts=concepts)


def _base(goal: GoalSettings) -> tuple[FamilyAdvice, dict[str, Any], dict[str, list[int]]]:
    """The family's row, its defaults for a job, and the checkpoint's shapes. Raises ``CheckpointError``."""
    header = read_header(Path(goal.checkpoint)) if goal.checkpoint else None
    if header is None:
        name = goal.family or "SD 1.x"
        own = name if name in _FAMILIES else "SDXL"
        return FAMILIES[name], family_defaults(own, FAMILIES[name], own == "SD 1.x"), {}
    checkpoint = Path(goal.checkpoint)
    family, declared = detect_base(checkpoint, *header)
    velocity = None if declared is None else declared.kind == VELOCITY
    base = "" if goal.family in _FAMILIES else goal.family
    choice = choose_base(family.name, checkpoint.stem, header[1], velocity, base)
    return choice.advice, family_defaults(family.name, choice.advice, family.follows_clip_skip), header[0]


def lines_of(goal: GoalSettings, plan: Plan, facts: Facts) -> list[str]:
    """The plan as the lines of a YAML job file."""
    job = plan.job(facts.form)
    cost = cost_of(job, facts)
    lines = _comment(f"A plan for {facts.family.name}. {_cost_words(cost)}")
    for one in plan.todo:
        lines += _comment(f"To do: {one.reason} ({one.source}; rule {one.id})")
    for step in steps_around(plan, facts):
        lines += _comment(f"{step.label} instead: {step.effect} {_cost_words(step.cost)}")
    values: dict[str, Any] = {f"{group}.{name}": value for group, content in facts.form.items()
                              for name, value in content.items() if value != ""}
    values.update({key: value for key, value in plan.values.items() if plan.rule_of(key).id != RULES[0].id})
    for group in dict.fromkeys(key.split(".")[0] for key in values):
        lines.append(f"{group}:")
        for key, value in values.items():
            if key.startswith(f"{group}."):
                reason = _why(plan, key)
                lines += [f"  {line}" for line in (*(_comment(reason) if reason else ()),
                                                   write_yaml({key.split(".")[1]: value}).rstrip())]
    return lines


def _why(plan: Plan, key: str) -> str:
    if key not in plan.values:
        return ""
    rule = plan.rule_of(key)
    return f"{plan.reason_of(key)} ({rule.source}; rule {rule.id})"


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH)]


def _cost_words(cost: Cost) -> str:
    known = [f"{cost.steps} steps" if cost.steps else "",
             f"{in_gb(cost.memory_bytes)} of memory" if cost.memory_bytes else "",
             f"a file of {cost.file_bytes / 1e6:.1f} MB" if cost.file_bytes else ""]
    return f"{', '.join(part for part in known if part)}." if any(known) else ""
