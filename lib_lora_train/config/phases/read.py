"""Reads ``training.phases``: a list of phases, each with a length, and the settings that differ from the phase before.

In a job file::

    training:
      max_train_epochs: 8
      phases:
      - name: polish
        epochs: 2
        optimizer: {learning_rate: 0.3}
        scheduler: {lr_scheduler: cosine}
        dataset: {only_folders: [1_best]}

The first phase is the job itself; the list holds those after it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from yaml import YAMLError

from ..convert import converted, type_words
from ..job import GROUPS, setting_named
from ..setting import fields_of, problem_with
from ..text_yaml import Unquoted, read_yaml
from .rules import why_not

PHASES = "List[Dict[str, Any]]"
"""The type of ``training.phases``."""
MOST_PHASES = 50
_LONGEST_NAME = 60
_LENGTHS = {"epochs": 100_000, "steps": 10_000_000}
_SHAPE = "It has to be a list of phases, such as [{epochs: 2, optimizer: {learning_rate: 0.3}}]."


def read_phases(value: Any, source: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The phases in ``value`` with typed settings, and a list of problems."""
    where = f"{source}: training.phases"
    if isinstance(value, Unquoted):
        try:
            value = read_yaml(str(value)) or []
        except YAMLError as problem:
            return [], [f"{where} is not readable as YAML: {problem}."]
    if not isinstance(value, list):
        return [], [f"{where} is {value!r}. {_SHAPE}"]
    if len(value) > MOST_PHASES:
        return [], [f"{where} has {len(value)} phases. It can have up to {MOST_PHASES}."]
    phases, problems = [], []
    for number, item in enumerate(value, start=2):
        if not isinstance(item, Mapping):
            problems.append(f"{where}, phase {number} is {item!r}. {_SHAPE}")
            continue
        phase, found = _phase(item)
        phases.append(phase)
        problems += [f"{where}, {title_of(phase, number)}: {problem}" for problem in found]
    return phases, problems


def name_problem(name: str) -> str:
    """Why ``name`` cannot be that of a phase, as the rest of a sentence; empty if it can."""
    usable = len(name) <= _LONGEST_NAME and name.isprintable()
    return "" if usable else f"cannot be used. Use up to {_LONGEST_NAME} printable characters."


def title_of(phase: Mapping[str, Any], number: int) -> str:
    """``phase 2 (polish)``, for messages."""
    name = phase.get("name")
    return f"phase {number} ({name})" if name else f"phase {number}"


def changes_of(phase: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that ``phase`` names, by ``group.name``."""
    return {f"{group}.{name}": value for group in GROUPS for name, value in phase.get(group, {}).items()}


def _phase(item: Mapping[Any, Any]) -> tuple[dict[str, Any], list[str]]:
    phase: dict[str, Any] = {}
    problems: list[str] = []
    if item.get("name") not in (None, ""):
        phase["name"] = " ".join(str(item["name"]).split())
        problem = name_problem(phase["name"])
        if problem:
            problems.append(f"its name {problem}")
            phase["name"] = ""
    for name, highest in _LENGTHS.items():
        problems += _take_length(phase, item, name, highest)
    for group, content in item.items():
        if group in ("name", *_LENGTHS):
            continue
        if group not in GROUPS:
            problems.append(f"there is no group {group!r}.{_nearest(str(group), [*GROUPS, 'name', *_LENGTHS])}")
        elif not isinstance(content, Mapping):
            problems.append(f"{group} has to be a list of settings, not {content!r}.")
        else:
            for name, value in content.items():
                problems += _take(phase.setdefault(str(group), {}), str(group), str(name), value)
    return phase, problems


def _take_length(phase: dict[str, Any], item: Mapping[Any, Any], name: str, highest: int) -> list[str]:
    value = item.get(name)
    try:
        number = converted("Optional[int]", value)
    except ValueError:
        number = 0
    if number is None:
        return []
    if not 1 <= number <= highest:
        return [f"{name} is {value!r}. It has to be a whole number from 1 to {highest}."]
    phase[name] = number
    return []


def _take(target: dict[str, Any], group: str, name: str, value: Any) -> list[str]:
    key = f"{group}.{name}"
    try:
        field = setting_named(key)
    except KeyError:
        known = [one.name for one in fields_of(group, GROUPS[group])]
        return [f"{group} has no setting {name!r}.{_nearest(name, known)}"]
    reason = why_not(key)
    if reason:
        return [f"{key} cannot change during a run: {reason}."]
    try:
        taken = converted(field.type_name, value)
    except ValueError:
        return [f"{key} is {value!r}. It has to be {type_words(field.type_name)}."]
    problem = problem_with(field, taken)
    if problem:
        return [problem]
    target[name] = taken
    return []


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
