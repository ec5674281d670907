"""A plan: the rules that fired for a goal, in order, and the settings that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...config.groups.goal import GoalSettings
from ...config.job import Job
from .images import IMAGES
from .known import KNOWLEDGE
from .length import LENGTH
from .machine import MACHINE
from .rates import RATES
from .rule import IMAGES_SEEN, Case, Facts, Rule, Values, job_with
from .subject import BASE, CHARACTERS, THINGS, VEHICLES, WANTED
from .tested import TESTED

RULES: tuple[Rule, ...] = (*BASE, *CHARACTERS, *VEHICLES, *THINGS, *KNOWLEDGE, *WANTED, *IMAGES, *MACHINE, *RATES,
                           *TESTED, *LENGTH)
"""In the order in which they apply: a later rule may replace what an earlier one has set, and says why."""
_EPOCHS, _IN_TIME = "epochs", "in-time"
"""The rule that turns the images to see into epochs, and the one that shortens them."""


@dataclass(frozen=True)
class Fired:
    """A rule that applied: what it set, why, and what it replaced (by key: the former value and the rule's id)."""

    id: str
    asked: str
    reason: str
    source: str
    values: Values
    replaced: Mapping[str, tuple[Any, str]]
    todo: bool
    extends: bool = False


@dataclass(frozen=True)
class Plan:
    """``values`` are settings by ``group.name``; ``images_seen`` is how many images should be seen.

    ``letter`` is the category by which the form judges rank and network, empty if none.
    """

    fired: tuple[Fired, ...]
    values: Mapping[str, Any]
    images_seen: int
    letter: str

    @property
    def todo(self) -> tuple[Fired, ...]:
        """What only the user can do."""
        return tuple(one for one in self.fired if one.todo)

    def rule_of(self, key: str) -> Fired:
        """The last rule that set ``key``. Raises ``KeyError`` if none did."""
        for one in reversed(self.fired):
            if key in one.values:
                return one
        raise KeyError(key)

    def reason_of(self, key: str) -> str:
        """Why ``key`` has its value; for the number of epochs also why so many images should be seen."""
        rule = self.rule_of(key)
        return " ".join((rule.reason, *self._why_so_long())) if rule.id == _EPOCHS else rule.reason

    def _why_so_long(self) -> list[str]:
        reasons: list[str] = []
        for one in self.fired:
            if IMAGES_SEEN in one.values and one.id != _IN_TIME:
                reasons = [*(reasons if one.extends else ()), one.reason]
        return reasons

    def rules_of(self, key: str) -> Sequence[Fired]:
        """Every rule that set ``key`` but the reset to defaults, in order."""
        return [one for one in self.fired if key in one.values and one.id != BASE[0].id]

    def job(self, form: Mapping[str, Mapping[str, Any]]) -> Job:
        """The form's nested values with those of the plan."""
        return job_with(form, self.values)


def plan_for(goal: GoalSettings, facts: Facts) -> Plan:
    """Apply every rule to ``goal``, in order."""
    case = Case(goal, facts)
    fired: list[Fired] = []
    by: dict[str, str] = {}
    for rule in RULES:
        if not rule.when(case):
            continue
        reason, values = rule.sentence(case), dict(rule.settings(case))
        replaced = {key: (case.values[key], by[key]) for key, value in values.items()
                    if key in by and by[key] != BASE[0].id and case.values[key] != value}
        fired.append(Fired(rule.id, rule.asked, reason, rule.source, values, replaced, rule.todo, rule.extends))
        case.values.update(values)
        by.update(dict.fromkeys(values, rule.id))
    settings = {key: value for key, value in case.values.items() if key != IMAGES_SEEN}
    return Plan(tuple(fired), settings, case.values[IMAGES_SEEN], case.checked_letter)
