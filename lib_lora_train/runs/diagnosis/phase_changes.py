"""Changes of length and learning rates for a next run, in all its training phases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...config.job import Job
from ...config.phases.effective import phases_of
from ...config.phases.rules import RATES
from .epochs import FileMeasures

_EPOCHS, _STEPS, _PHASES = "training.max_train_epochs", "training.max_train_steps", "training.phases"
_GROUP = "optimizer"


def ending_at(job: Job, file: FileMeasures) -> dict[str, Any]:
    """The settings with which ``job`` ends where ``file`` was saved; empty if its phases count in different units."""
    units = {_unit(phase.job) for phase in phases_of(job)}
    if len(units) > 1:
        return {}
    key = units.pop()
    left = file.step if key == _STEPS else file.epoch
    if not job.training.phases:
        return {key: left}
    lengths = [_length(phase.job, key) for phase in phases_of(job)]
    last = 0
    while last + 1 < len(lengths) and left > lengths[last]:
        left -= lengths[last]
        last += 1
    if not last:
        return {key: left, _PHASES: []}
    phases = job.training.phases[:last]
    return {_PHASES: [*phases[:-1], {**phases[-1], "steps" if key == _STEPS else "epochs": left}]}


def longer(job: Job, factor: float) -> tuple[int, str, dict[str, Any]]:
    """The length of the last phase of ``job`` times ``factor``, its unit, and the settings for that."""
    last = phases_of(job)[-1]
    key = _unit(last.job)
    length, unit = _length(last.job, key), "steps" if key == _STEPS else "epochs"
    longer_one = max(length + 1, round(length * factor))
    if last.number == 1:
        return longer_one, unit, {key: longer_one}
    phases = job.training.phases
    return longer_one, unit, {_PHASES: [*phases[:-1], {**phases[-1], unit: longer_one}]}


def at_rates(job: Job, factor: float) -> dict[str, Any]:
    """The learning rates of all phases of ``job`` times ``factor``."""
    rates = {key: getattr(job.optimizer, key.split(".")[1]) for key in RATES}
    found = {key: _rounded(rate * factor) for key, rate in rates.items() if rate}
    return {**found, **_with_rates(job, lambda rate: _rounded(rate * factor))}


def without_own_rates(job: Job) -> dict[str, Any]:
    """The phases of ``job`` without rates of their own; nothing if none has any."""
    return _with_rates(job, lambda rate: None)


def _with_rates(job: Job, change: Callable[[float], float | None]) -> dict[str, Any]:
    phases = [{**phase, _GROUP: _changed(phase[_GROUP], change)} if _GROUP in phase else phase
              for phase in job.training.phases]
    return {_PHASES: phases} if phases != job.training.phases else {}


def _changed(settings: Mapping[str, Any], change: Callable[[float], float | None]) -> dict[str, Any]:
    found = {name: change(value) if f"{_GROUP}.{name}" in RATES and value else value
             for name, value in settings.items()}
    return {name: value for name, value in found.items() if value is not None or settings[name] is None}


def _unit(job: Job) -> str:
    return _EPOCHS if job.training.max_train_steps is None else _STEPS


def _length(job: Job, key: str) -> int:
    return int(getattr(job.training, key.split(".")[1]) or 0)


def _rounded(rate: float) -> float:
    return float(f"{rate:.3g}")
