"""Imports options into a job one by one, and records the outcome of each."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..convert import converted, type_words
from ..job import all_settings
from ..setting import problem_with
from .places import Places
from .report import CHANGED, NOT_KNOWN, NOT_NEEDED, TAKEN, Answer, shown

_SETTINGS = {field.key: field for field in all_settings()}
_MOST_GUESSES = 50
_WORDS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False, "": False}
_SECRET = re.compile(r"huggingface_token|hf_token|api_key|password|secrets")


@dataclass(frozen=True)
class Option:
    """An option of the source: its original name and its value, as text or of the format's own type."""

    shown: str
    value: Any
    given: bool = True

    @property
    def is_off(self) -> bool:
        """Whether the value means that the option is off."""
        return self.value in (None, "", False, 0, [], {}) or str(self.value).strip().lower() in (
            "false", "none", "0", "0.0", "no")


Options = dict[str, Option]


class Taking:
    """The values imported so far, by key, and the report entries."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.values: dict[str, Any] = {}
        self.answers: list[Answer] = []
        self._guesses = 0

    def take(self, option: Option, values: Mapping[str, Any], why: str = "", note: str = "") -> None:
        """Set ``values``; ``why`` says how they differ from the source, empty if they do not.

        ``note`` adds details. Numbers out of range are clamped, invalid values dropped; the entry says so.
        """
        settings, wrong = {}, []
        for key, value in values.items():
            read, problem = _read(key, value)
            if problem and read is None:
                wrong.append(f"Left out: {problem}")
            else:
                settings[key] = read
                wrong += [problem] if problem else []
        self.values |= settings
        reason = " ".join([*([why] if why else []), *wrong])
        self._answer(option, CHANGED if reason else TAKEN, settings, reason or note)

    def note(self, option: Option, what: str) -> None:
        """Record that ``option`` was imported as a whole; ``what`` says how."""
        self._answer(option, TAKEN, {}, what)

    def take_default(self, name: str, key: str, value: Any, why: str) -> None:
        """Set ``key`` to the source's default for the missing option ``name``."""
        self.values[key] = value
        self.answers.append(Answer(name, "", TAKEN, {key: value}, why, given=False))

    def drop(self, option: Option, why: str) -> None:
        """Skip ``option`` although it would have an effect."""
        self._answer(option, CHANGED, {}, f"Left out. {why}")

    def not_needed(self, option: Option, why: str) -> None:
        """Skip ``option`` because it is not needed."""
        self._answer(option, NOT_NEEDED, {}, why)

    def not_known(self, option: Option, known: Iterable[str] = ()) -> None:
        """Skip ``option`` because it is unknown."""
        self._guesses += 1
        close = difflib.get_close_matches(option.shown.lstrip("-")[:60], list(known), n=1) \
            if self._guesses <= _MOST_GUESSES else []
        self._answer(option, NOT_KNOWN, {}, f"There is no such option. Did you mean {close[0]}?" if close else
                     "There is no such option.")

    def nested(self) -> dict[str, dict[str, Any]]:
        """The values as group → setting → value, in the order of the schema."""
        values: dict[str, dict[str, Any]] = {}
        for key in sorted(self.values, key=list(_SETTINGS).index):
            group, name = key.split(".")
            values.setdefault(group, {})[name] = self.values[key]
        return values

    def _answer(self, option: Option, answer: str, settings: Mapping[str, Any], reason: str) -> None:
        hidden = option.value and _SECRET.search(option.shown.lower())
        value = "(hidden)" if hidden else shown(option.value)
        self.answers.append(Answer(option.shown, value, answer, settings, reason, option.given))


def as_switch(value: Any) -> bool:
    """A switch in the notation of other tools: true, "True", 1. Raises ``ValueError``."""
    if isinstance(value, bool):
        return value
    try:
        return _WORDS[str(value).strip().lower()]
    except KeyError:
        raise ValueError(value) from None


def _read(key: str, value: Any) -> tuple[Any, str]:
    """``value`` converted for the setting ``key``, and a sentence if it had to be changed."""
    setting = _SETTINGS[key]
    optional = setting.type_name.startswith("Optional[")
    try:
        if "bool" in setting.type_name:
            value = as_switch(value)
        elif "int" in setting.type_name and value not in (None, ""):
            value = _whole(value)
        elif optional and isinstance(value, str) and value.strip() in ("", "None"):
            value = None
        elif "str" in setting.type_name and isinstance(value, (int, float)):
            value = str(value)
        taken = converted(setting.type_name, value)
    except (ValueError, TypeError, OverflowError):
        return None, f"{key} is {shown(value)!r}. It has to be {type_words(setting.type_name)}."
    problem = problem_with(setting, taken) or ""
    limits = (setting.info.minimum, setting.info.maximum)
    if problem and isinstance(taken, (int, float)) and taken == taken and None not in limits:
        low, high = limits
        nearest = type(taken)(min(max(taken, low or 0), high or 0))
        return nearest, problem
    return (None, problem) if problem else (taken, "")


def _whole(value: Any) -> Any:
    """Convert 64.0 and "64.0" to 64; leave anything else to the setting."""
    number = float(value)
    if not number.is_integer():
        raise ValueError(value)
    return int(number)
