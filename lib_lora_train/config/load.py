"""Reading, checking and writing job files."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..errors import ConfigError
from .check import problems_of
from .job import Job
from .setting import SettingField, fields_of, groups_of, problem_with

JobKind = TypeVar("JobKind")


def load_job(path: Path, overrides: Sequence[str] = (), changes: Path | None = None) -> Job:
    """Read the job file ``path``; each of ``overrides`` is ``group.name=value`` and wins over the file.

    ``changes``, if it is there, is a partial job file that is laid over ``path`` first.
    Raises ``ConfigError`` that lists every problem: unknown keys, wrong types, values out of range.
    """
    values = load_values(path, overrides if changes is None else (), Job)
    if changes is not None:
        laid_over = load_values(changes, overrides, Job)
        values = OmegaConf.to_container(OmegaConf.merge(values, laid_over))  # type: ignore[assignment]
    return job_from(values, source=str(path))


def load_values(path: Path, overrides: Sequence[str], kind: type) -> dict[str, Any]:
    """The values of the job file ``path`` with ``overrides``, unchecked; ``kind`` is the job's dataclass.

    Raises ``ConfigError`` if the file or an override cannot be read.
    """
    try:
        loaded = OmegaConf.to_container(OmegaConf.load(path))
    except FileNotFoundError:
        raise ConfigError(f"There is no job file {path}.") from None
    except Exception as problem:  # PyYAML and OmegaConf raise many kinds; all mean the file is not readable YAML
        raise ConfigError(f"The job file {path} is not readable as YAML: {problem}") from problem
    if not isinstance(loaded, dict):
        raise ConfigError(f"The job file {path} has to hold groups of settings ({', '.join(groups_of(kind))}), "
                          f"not {loaded!r}.")
    try:
        changes = OmegaConf.to_container(OmegaConf.from_dotlist(list(overrides)))
    except Exception as problem:
        raise ConfigError(f"The settings {' '.join(overrides)} cannot be read: {problem}. "
                          "Write each as group.name=value.") from problem
    return OmegaConf.to_container(OmegaConf.merge(loaded, changes or {}))  # type: ignore[return-value]


def job_from(values: Mapping[str, Any], *, source: str = "The job") -> Job:
    """A checked ``Job`` from nested plain values; what is left out takes its default.

    Raises ``ConfigError`` that lists every problem at once.
    """
    job, problems = read_job(values, source=source)
    problems = problems or problems_of(job)
    if problems:
        raise ConfigError(problems)
    return job


def read_job(values: Mapping[str, Any], *, source: str = "The job") -> tuple[Job, list[str]]:
    """A job from nested plain values without the checks that span settings, and what could not be read."""
    return read_settings(Job, values, source=source)


def read_settings(kind: type[JobKind], values: Mapping[str, Any], *, source: str) -> tuple[JobKind, list[str]]:
    """As ``read_job``, for a job of any kind."""
    groups = groups_of(kind)
    target = _blank(kind)
    problems: list[str] = []
    if not isinstance(values, Mapping):
        return kind(), [f"{source} has to be a list of groups ({', '.join(groups)}), not {values!r}."]
    for group, content in values.items():
        if group not in groups:
            problems.append(f"{source}: there is no group {group!r}.{_nearest(str(group), list(groups))}")
        elif not isinstance(content, Mapping):
            problems.append(f"{source}: {group} has to be a list of settings, not {content!r}.")
        else:
            known = {field.name: field for field in fields_of(group, groups[group])}
            for name, value in content.items():
                problems.extend(_take(target, known, str(group), str(name), value, source))
    job: JobKind = OmegaConf.to_object(target)  # type: ignore[assignment]
    return job, problems


def job_to_dict(job: Job) -> dict[str, Any]:
    """The job as nested plain values, every setting included."""
    return OmegaConf.to_container(OmegaConf.structured(job))  # type: ignore[return-value]


def job_to_yaml(job: Any) -> str:
    """The job as YAML text, every setting included, so that a run can be repeated from it."""
    return OmegaConf.to_yaml(OmegaConf.structured(job))


def _blank(kind: type) -> DictConfig:
    target: DictConfig = OmegaConf.structured(kind)
    OmegaConf.set_readonly(target, False)
    for group in groups_of(kind):
        OmegaConf.set_readonly(target[group], False)
    return target


def _take(target: DictConfig, known: Mapping[str, SettingField], group: str, name: str, value: Any,
          source: str) -> list[str]:
    if name not in known:
        return [f"{source}: {group} has no setting {name!r}.{_nearest(name, list(known))}"]
    field = known[name]
    before = target[group][name]
    try:
        target[group][name] = value
    except OmegaConfBaseException:
        return [f"{source}: {field.key} is {value!r}. It has to be {_type_words(field.type_name)}."]
    taken = OmegaConf.to_container(target)[group][name]  # type: ignore[index,call-overload]
    problem = problem_with(field, taken)
    if problem:
        target[group][name] = before
        return [f"{source}: {problem}"]
    return []


def _type_words(type_name: str) -> str:
    words = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text",
             "List[str]": "a list of texts", "List[float]": "a list of numbers"}
    optional = type_name.startswith("Optional[")
    inner = type_name[len("Optional["):-1] if optional else type_name
    return words.get(inner, inner) + (", or empty" if optional else "")


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else f" It has: {', '.join(known)}."
