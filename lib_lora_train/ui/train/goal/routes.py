"""Routes of the goal panel: a plan for a goal, and the settings of a test bake."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from ....advice.goals.costs import cost_of, steps_around
from ....advice.goals.plan import RULES, Plan, plan_for
from ....advice.goals.rule import BaseCheck, TestBake
from ....advice.steps import HALF, KNOWN, UNKNOWN, UNSURE
from ....config.groups.goal import GoalSettings
from ....config.job import Job
from ...requests import GoalRequest
from ...services import Services
from ..pace import pace_on
from .facts import facts_for, goal_of
from .test_bakes import test_bake_changes

_LEVELS = {KNOWN: "The base model knows {}.", HALF: "The base model half knows {}.",
           UNKNOWN: "The base model does not know {}.",
           UNSURE: "Whether the base model knows {} could not be measured."}


def register(router: APIRouter, services: Services) -> None:
    """Add ``/goal/plan`` and ``/goal/test``."""

    def plan(request: GoalRequest) -> dict[str, Any]:
        return plan_answer(services, request)

    def test(request: GoalRequest) -> dict[str, Any]:
        goal, _, job, _ = facts_for(services, request.job, goal_of(request.goal))
        each = pace_on(services, job)(job, 1)
        changes = test_bake_changes(job, goal.images, each)
        return {"values": nested(changes), "measured": each is not None}

    router.add_api_route("/goal/plan", plan, methods=["POST"])
    router.add_api_route("/goal/test", test, methods=["POST"])


def plan_answer(services: Services, request: GoalRequest) -> dict[str, Any]:
    """Return the plan for the goal of ``request``: the values, each with its reason, what it costs, and one step up or
    down. Raises ``ConfigError`` if an answer is invalid.
    """
    goal, facts, form, unused = facts_for(services, request.job, goal_of(request.goal))
    made = plan_for(goal, facts)
    job = made.job(facts.form)
    return {"values": nested(made.values), "reasons": _reasons(made, form, request.job),
            "todo": [{"rule": one.id, "text": one.reason, "source": one.source} for one in made.todo],
            "images_seen": made.images_seen, "letter": made.letter, "images": goal.images, "quality": goal.quality,
            "captions": goal.captions, "family": facts.family.name, "cost": dataclasses.asdict(cost_of(job, facts)),
            "around": [dataclasses.asdict(step) for step in steps_around(made, facts)],
            "tested": _tested(facts.tested), "checked": _checked(goal, facts.checked, unused)}


def nested(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return ``values`` by ``group.name`` as groups."""
    groups: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        group, name = key.split(".")
        groups.setdefault(group, {})[name] = value
    return groups


def _reasons(made: Plan, form: Job, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each value that the plan sets on purpose or changes, with its reason; ``typed`` is one of the form's."""
    found = []
    for key, value in made.values.items():
        group, name = key.split(".")
        before, rule = getattr(getattr(form, group), name), made.rule_of(key)
        if rule.id == RULES[0].id and before == value:
            continue
        own = given.get(group)
        found.append({
            "key": key, "before": before, "after": value, "changed": before != value,
            "typed": isinstance(own, Mapping) and name in own and before != value, "rule": rule.id,
            "reason": made.reason_of(key), "source": rule.source,
            "earlier": [one.reason for one in made.rules_of(key)[:-1] if one.values[key] != value]})
    return found


def _checked(goal: GoalSettings, checked: BaseCheck | None, unused: str) -> dict[str, Any]:
    """What the newest check of the base says, in ``text``; empty if there was none. ``used``: whether it counts."""
    if checked is None:
        return {"used": False, "text": unused}
    found = f"{_LEVELS[checked.level].format(checked.word)} {checked.reason}".strip() if checked.word else (
        "There is no trigger word.")
    own = "" if goal.known is None or not checked.word else (
        f" Your answer counts instead: {'it is' if goal.known else 'it is not'} known.")
    return {"used": True, "text": f"{found} ({checked.measured}){own}"}


def _tested(tested: TestBake | None) -> dict[str, Any] | None:
    if tested is None:
        return None
    facts = [] if tested.complete or not tested.images_seen else [f"{tested.images_seen} images seen"]
    facts += [f"{tested.seconds_per_step:.2g} s a step at {tested.size} px"] if tested.seconds_per_step else []
    head = f"The plan uses the test bake {tested.name}{f', {tested.ending}' if tested.ending else ''}"
    parts = [f"{head}: {', '.join(facts)}." if facts else f"{head}."]
    if tested.share_learned is not None and tested.share_learned > 0:
        parts.append(f"The held-out loss fell by {tested.share_learned:.0%}" + (
            f" in {tested.complete}." if tested.complete else "."))
    elif tested.complete:
        parts.append(f"Rate and length follow from {tested.complete}, which ran to its end.")
    elif tested.ending and not (tested.diverged or tested.out_of_memory):
        parts.append("It says little about rate and length.")
    return {"run": tested.run, "name": tested.name, "text": " ".join(parts)}
