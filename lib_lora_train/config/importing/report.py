"""The result of an import: the values of a job, and an entry for every option of the source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TAKEN, CHANGED, NOT_NEEDED, NOT_KNOWN = "taken", "changed", "not needed", "not known"
ANSWERS = (TAKEN, CHANGED, NOT_NEEDED, NOT_KNOWN)
_TITLES = {TAKEN: "Taken", CHANGED: "Changed", NOT_NEEDED: "Not needed", NOT_KNOWN: "Not known"}
_LONGEST_SHOWN = 200


@dataclass(frozen=True)
class Answer:
    """The outcome of one option. ``settings`` is what it set here, by key; ``given`` is false for an option missing
    from the source whose default there differs from ours.
    """

    option: str
    value: str
    answer: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    given: bool = True

    def as_json(self) -> dict[str, Any]:
        """For the page."""
        return {"option": self.option, "value": self.value, "answer": self.answer, "settings": dict(self.settings),
                "reason": self.reason, "given": self.given}


@dataclass(frozen=True)
class Imported:
    """``values`` is group → setting → value; ``source`` names the format; ``problems`` is what still prevents the job
    from running, one sentence each.
    """

    source: str
    values: Mapping[str, Mapping[str, Any]]
    answers: Sequence[Answer]
    problems: Sequence[str] = ()
    partial: bool = False
    """Whether it only overrides some of the current settings, as a preset does."""

    def as_json(self) -> dict[str, Any]:
        """For the page."""
        return {"source": self.source, "values": self.values, "partial": self.partial,
                "answers": [answer.as_json() for answer in self.answers]}


def report_text(imported: Imported) -> str:
    """The report as lines of text, grouped by outcome."""
    lines = [f"Read as {imported.source}."]
    for kind in ANSWERS:
        of_kind = [answer for answer in imported.answers if answer.answer == kind]
        if of_kind:
            lines += ["", f"{_TITLES[kind]} ({len(of_kind)})"]
            lines += [f"  {_line(answer)}" for answer in of_kind]
    if imported.problems:
        lines += ["", f"To do before training ({len(imported.problems)})"]
        lines += [f"  {problem}" for problem in imported.problems]
    return "\n".join(lines)


def shown(value: Any) -> str:
    """``value`` formatted for the report."""
    if value is None or value == "":
        return "empty"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (list, tuple)):
        value = " ".join(str(item) for item in value)
    text = f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + " …"


def _line(answer: Answer) -> str:
    option = f"{answer.option} = {answer.value}" if answer.given else f"{answer.option} (left out)"
    became = ", ".join(f"{key} = {shown(value)}" for key, value in answer.settings.items())
    return option + (f" -> {became}" if became else "") + (f": {answer.reason}" if answer.reason else "")
