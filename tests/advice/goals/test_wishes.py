"""Thirty goals on every family: what is planned passes the checks of the form, and each value has a rule."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import pytest

from benchmarks.weights import shapes_of
from lib_lora_train.advice.families import FAMILIES
from lib_lora_train.advice.family_defaults import family_defaults
from lib_lora_train.advice.goals.costs import steps_around
from lib_lora_train.advice.goals.plan import RULES, plan_for
from lib_lora_train.advice.goals.rule import Facts
from lib_lora_train.advice.goals.wishes import WISHES, rules_table, wishes_table
from lib_lora_train.advice.memory import GB, estimate_memory, fit
from lib_lora_train.advice.notes import Surroundings, notes_on
from lib_lora_train.advice.of_job import advice_on
from lib_lora_train.advice.steps import FEWEST_IMAGES_SEEN
from lib_lora_train.config.change import changed
from lib_lora_train.config.check import problems_of
from lib_lora_train.config.groups.goal import GoalSettings
from lib_lora_train.config.load import read_flat, read_job

PATHS = {"base": {"checkpoint": "model.safetensors"}, "dataset": {"train_data_dir": "images"},
         "save": {"output_name": "penny", "output_dir": "Lora"}}
INFORMS = ("supports only one rate, so the alpha of each block is scaled", "for SDXL, style: OUT is")
"""Notes that say how a planned value acts; all others object to it."""


@functools.cache
def full_shapes(family):
    """The shapes of a full-size checkpoint; SD 2.x and SSD-1B as the family that they differ little from."""
    if family in ("SDXL", "SSD-1B"):
        without = "middle_block.1." if family == "SSD-1B" else " "
        return {name: shape for name, shape in shapes_of("sdxl").items() if without not in name}
    mark = {} if family == "SD 1.x" else {"cond_stage_model.model.token_embedding.weight": (49408, 1024)}
    return {**shapes_of("sd15"), **mark}


def form_of(name):
    family, form = FAMILIES[name], {group: dict(content) for group, content in PATHS.items()}
    detected = name if name in ("SD 1.x", "SD 2.x", "SD 2.x 768-v", "SSD-1B") else "SDXL"
    for key, value in family_defaults(detected, family, detected == "SD 1.x").items():
        group, setting = key.split(".")
        form.setdefault(group, {})[setting] = value
    return detected, form


def planned(wish, name, vram_gb=None, shapes=None):
    family, (_, form) = FAMILIES[name], form_of(name)
    goal, problems = read_flat(GoalSettings, {**WISHES[wish], "vram_gb": vram_gb}, source="wish")
    assert problems == []
    facts = Facts(family, goal.images, form=form, shapes=shapes or {}, device="cuda")
    return plan_for(goal, facts), facts


def objections(plan, name, form, images, shapes, changes=None, images_seen=None):
    """Everything that form and command line say against the plan with ``changes``."""
    values = {**plan.values, **(changes or {})}
    job, problems = read_job({**form, **nested(form, values)})
    assert problems == []
    detected, _ = form_of(name)
    around = Surroundings("cuda", True, detected, 2 if detected in ("SDXL", "SSD-1B") else 1, detected == "SD 1.x",
                          name.endswith("-v") or name.endswith("v-pred"), shapes, yaml_beside=None)
    epochs, images = job.training.max_train_epochs, images * job.dataset.dataset_repeats
    said = [note.text for note in notes_on(job, around) if note.key in plan.values]
    said += advice_on(job, images, images, images * epochs, plan.letter, FAMILIES[name],
                      plan.images_seen if images_seen is None else images_seen)
    return problems_of(job) + [text for text in said if not any(words in text for words in INFORMS)]


def nested(form, values):
    groups = {group: dict(content) for group, content in form.items()}
    for key, value in values.items():
        group, name = key.split(".")
        groups.setdefault(group, {})[name] = value
    return groups


@pytest.mark.parametrize("name", FAMILIES)
def test_no_plan_contradicts_the_checks_each_value_has_a_rule_and_the_vram_limit_is_kept(name):
    assert len(WISHES) == 30
    shapes = full_shapes(form_of(name)[0])
    for place, wish in enumerate(WISHES):
        for vram in (None, 7.0)[:1 + (place % 3 == 0)]:
            plan, facts = planned(wish, name, vram, shapes)
            assert objections(plan, name, facts.form, facts.images_per_epoch, shapes) == [], (wish, vram)
            for key, value in plan.values.items():
                rule = plan.rule_of(key)
                assert rule.values[key] == value and rule.reason and rule.source, (wish, key)
            if vram is not None:
                fits(plan, facts, vram)


@pytest.mark.parametrize("name", FAMILIES)
def test_no_step_up_or_down_contradicts_the_checks_of_the_form(name):
    offered = set()
    for wish in WISHES:
        plan, facts = planned(wish, name)
        least = min(FEWEST_IMAGES_SEEN, plan.images_seen)
        for step in steps_around(plan, facts):
            offered.add(step.what)
            assert objections(plan, name, facts.form, facts.images_per_epoch, {}, step.changes, step.images_seen) == [
                ], (wish, step.label)
            job = changed(plan.job(facts.form), step.changes)
            assert step.cost.steps * job.dataset.train_batch_size >= least, (wish, step.label)
    assert offered == {"rank", "length", "size"}


def test_a_step_that_slows_learning_takes_longer_and_says_so():
    plan, facts = planned("A simple pose", "SDXL")
    larger = next(step for step in steps_around(plan, facts) if step.what == "size" and "Finer" in step.effect)
    epochs = larger.changes["training.max_train_epochs"]
    assert epochs > plan.values["training.max_train_epochs"] and f"Needs {epochs} epochs" in larger.effect
    assert larger.cost.steps == epochs * facts.images_per_epoch


def fits(plan, facts, vram):
    job = plan.job(facts.form)
    assert job.training.fit_in_gb == vram
    needed = estimate_memory(facts.shapes, fit(facts.shapes, job)[0]).total
    assert needed <= vram * GB or "does-not-fit" in [one.id for one in plan.todo], needed / GB


@pytest.mark.parametrize("name", ["SD 1.x", "SDXL"])
def test_very_little_memory_is_kept_to_as_well(name):
    for vram in (2.5, 4.0):
        for wish in list(WISHES)[::6]:
            fits(*planned(wish, name, vram, full_shapes(form_of(name)[0])), vram)


def test_rules_have_ids_of_their_own_and_all_of_them_apply_somewhere():
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.source.startswith(("advice: ", "this project: ", "sd-scripts: ")) for rule in RULES)


def test_a_plan_is_as_long_as_what_slows_learning_asks_for():
    plan, facts = planned("A Gundam, overnight", "SD 1.x")
    seen = plan.values["training.max_train_epochs"] * facts.images_per_epoch
    assert seen >= plan.images_seen == round(1500 * 1.5) and seen < plan.images_seen * 1.7
    assert plan.values["training.max_train_epochs"] == math.ceil(seen / 80)


@pytest.mark.parametrize(("name", "table"), [("wishes", wishes_table), ("rules", rules_table)])
def test_the_tables_of_the_docs_are_those_of_the_rules(name, table):
    text = (Path(__file__).parents[3] / "docs" / "goals.md").read_text(encoding="utf-8")
    assert f"<!-- {name} -->\n{table()}\n<!-- /{name} -->" in text, "python -m lib_lora_train plan --markdown"
