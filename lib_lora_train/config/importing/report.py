"""What an import found: the values of a job, and an answer for every option of the source."""

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
    """What became of one option. ``settings`` is what it set here, by key; ``given`` is false for an option that the
    source leaves out and whose default there differs from the one here."""

    option: str
    value: str
    answer: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    given: bool = True

    def as_json(self) -> dict[str, Any]:
        """As the page reads it."""
        return {"option": self.option, "value": self.value, "answer": self.answer, "settings": dict(self.settings),
                "reason": self.reason, "given": self.given}


@dataclass(frozen=True)
class Imported:
    """``values`` is group → setting → value; ``source`` names the format; ``problems`` is what still keeps the job
    from running, one sentence each."""

    source: str
    values: Mapping[str, Mapping[str, Any]]
    answers: Sequence[Answer]
    problems: Sequence[str] = ()
    partial: bool = False
    """Whether it is laid over the settings there are, as a preset is, and says nothing about the others."""

    def as_json(self) -> dict[str, Any]:
        """As the page reads it."""
        return {"source": self.source, "values": self.values, "partial": self.partial,
                "answers": [answer.as_json() for answer in self.answers]}


def report_text(imported: Imported) -> str:
    """The report as lines of text, grouped by answer."""
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
    """``value`` as a report shows it."""
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
