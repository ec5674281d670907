"""Reads, checks and writes job files."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from yaml import YAMLError

from ..errors import ConfigError
from ..files.reading import read_text, reason
from .check import problems_of
from .convert import converted, type_words
from .job import Job
from .phases.read import PHASES, read_phases
from .setting import SettingField, fields_of, groups_of, problem_with
from .text_yaml import read_typed, read_yaml, write_yaml

JobKind = TypeVar("JobKind")
_FORMER_VALUES = {("write.mode", "look-only"): "confidences-only"}
"""Choices that had another name in earlier versions, by setting and value."""


def load_job(path: Path, overrides: Sequence[str] = (), changes: Path | None = None,
             complete: Callable[[dict[str, Any]], None] | None = None) -> Job:
    """Read the job file ``path``; each of ``overrides`` is ``group.name=value`` and wins over the file.

    ``changes`` is an optional partial job file that is applied to ``path`` first. ``complete`` may add values to the
    job before it is checked. Raises ``ConfigError`` that lists every problem: unknown keys, wrong types, values out of
    range.
    """
    values = load_values(path, overrides if changes is None else (), Job)
    if changes is not None:
        values = merged(values, load_values(changes, overrides, Job))
    if complete is not None:
        complete(values)
    return job_from(values, source=str(path))


def load_values(path: Path, overrides: Sequence[str], kind: type) -> dict[str, Any]:
    """The values of the job file ``path`` with ``overrides``, unchecked; ``kind`` is the job's dataclass.

    Raises ``ConfigError`` if the file or an override cannot be read.
    """
    loaded = read_file(path)
    if not isinstance(loaded, dict):
        raise ConfigError(f"The job file {path} has to hold groups of settings ({', '.join(groups_of(kind))}), "
                          f"not {loaded!r}.")
    for override in overrides:
        key, equals, text = override.partition("=")
        group, dot, name = key.strip().partition(".")
        if not equals or not dot or not group or not name:
            raise ConfigError(f"{override!r} cannot be read. Write each setting as group.name=value, such as "
                              "network.network_dim=16.")
        loaded = merged(loaded, {group: {name: read_typed(text)}})
    return loaded


def read_file(path: Path) -> Any:
    """The content of the YAML file ``path``, with texts kept as typed (``text_yaml``).

    Raises ``ConfigError`` if it cannot be read.
    """
    try:
        return read_yaml(read_text(path))
    except FileNotFoundError:
        raise ConfigError(f"There is no job file {path}.") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"The job file {path} cannot be read: {reason(problem)}. Save it as UTF-8.") from problem
    except (YAMLError, ValueError) as problem:
        raise ConfigError(f"The job file {path} is not readable as YAML: {problem}. A text that has ': ' or ' #' in "
                          "it, or begins with a special character, needs quotes.") from problem


def merged(values: Mapping[Any, Any], changes: Mapping[Any, Any]) -> dict[Any, Any]:
    """A copy of the nested job ``values`` with the settings of ``changes`` applied."""
    groups = dict(values)
    for group, content in changes.items():
        below = groups.get(group)
        groups[group] = {**below, **content} if isinstance(below, Mapping) and isinstance(content, Mapping) else content
    return groups


def job_from(values: Mapping[str, Any], *, source: str = "The job") -> Job:
    """A checked ``Job`` from nested plain values; missing settings take their defaults.

    Raises ``ConfigError`` that lists every problem at once.
    """
    job, problems = read_job(values, source=source)
    problems = problems or problems_of(job)
    if problems:
        raise ConfigError(problems)
    return job


def read_job(values: Mapping[str, Any], *, source: str = "The job") -> tuple[Job, list[str]]:
    """A job from nested plain values, without the checks that span settings, and a list of problems."""
    return read_settings(Job, values, source=source)


def read_settings(kind: type[JobKind], values: Mapping[str, Any], *, source: str) -> tuple[JobKind, list[str]]:
    """As ``read_job``, for a job of any kind."""
    groups = groups_of(kind)
    taken: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    if not isinstance(values, Mapping):
        return kind(), [f"{source} has to be a list of groups ({', '.join(groups)}), not {values!r}."]
    for group, content in values.items():
        if group not in groups:
            problems.append(f"{source}: there is no group {group!r}.{_nearest(str(group), list(groups))}")
        elif not isinstance(content, Mapping):
            problems.append(f"{source}: {group} has to be a list of settings, not {content!r}.")
        else:
            known = _known(group, groups[group])
            for name, value in content.items():
                problems.extend(_take(taken.setdefault(group, {}), known, str(group), str(name), value, source))
    return kind(**{group: groups[group](**settings) for group, settings in taken.items()}), problems


def read_flat(kind: type[JobKind], values: Mapping[str, Any], *, source: str) -> tuple[JobKind, list[str]]:
    """A job of ``kind``, which has no groups, from plain values, and a list of problems."""
    known = _known("", kind)  # type: ignore[arg-type]  # a class is hashable
    taken: dict[str, Any] = {}
    problems = [problem for name, value in values.items() for problem in _take(taken, known, "", name, value, source)]
    return kind(**taken), problems


@functools.cache
def _known(group: str, group_type: type) -> Mapping[str, SettingField]:
    """The settings of one group by name."""
    return {field.name: field for field in fields_of(group, group_type)}


def job_to_dict(job: Any) -> dict[str, Any]:
    """The job as nested plain values, every setting included."""
    return dataclasses.asdict(job)


def job_to_yaml(job: Any) -> str:
    """The job as YAML text, every setting included, so that a run can be repeated from it."""
    return write_yaml(job_to_dict(job))


def _take(target: dict[str, Any], known: Mapping[str, SettingField], group: str, name: str, value: Any,
          source: str) -> list[str]:
    if name not in known:
        where = f"{group} has" if group else "there is"
        return [f"{source}: {where} no setting {name!r}.{_nearest(name, list(known))}"]
    field = known[name]
    if field.type_name == PHASES:
        target[name], problems = read_phases(value, source)
        return problems
    try:
        taken = converted(field.type_name, value)
    except ValueError:
        return [f"{source}: {field.key} is {value!r}. It has to be {type_words(field.type_name)}."]
    if isinstance(taken, str):
        taken = _FORMER_VALUES.get((field.key, taken), taken)
    problem = problem_with(field, taken)
    if problem:
        return [f"{source}: {problem}"]
    target[name] = taken
    return []


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else f" It has: {', '.join(known)}."
