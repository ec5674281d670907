"""Groups of runs that differ in one setting: planned, checked as a whole, then queued."""

from __future__ import annotations

import copy
import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from ....config.job import Job
from ....config.load import job_to_dict
from ....config.phases.read import title_of as title_of_phase
from ....config.setting import SettingField
from ....errors import ConfigError, RunError
from ....runs.compare.differences import MOST
from ....runs.compare.group import RunGroup, write_group
from ....runs.compare.values import CHECKPOINT, in_words, title_of, variant_name, varied_field
from ....runs.continuing import job_of
from ....runs.folder import TRAIN, RunFolder, open_run
from ....runs.names import next_free_name
from ....runs.queue import enqueue
from ...services import Services
from ...train.job_request import complete_job, device_of, taken_names
from ...train.routes import check_job
from ..routes import made_run, strip_of
from ..strip_settings import Txt2img
from .following import follow
from .other_base import move_to_base

_NO_EFFECT = "has no effect"
_LENGTHS = ("training.max_train_epochs", "training.max_train_steps")


class VariantsRequest(BaseModel):
    """The job of ``run``, or the form's ``job`` if that is empty, once for each of ``values`` of the setting ``key``.

    ``grid``: whether the webui generates a grid once all have ended.
    """

    run: str = ""
    job: dict[str, Any] = Field(default_factory=dict)
    key: str
    values: list[Any]
    grid: bool = True
    txt2img: Txt2img | None = None


@dataclass(frozen=True)
class Variant:
    """One run of a group: ``value`` as text, the ``name`` of its LoRA, its steps and their duration (``None`` if
    unknown), the ``problems`` that prevent it, and ``notes`` on what else changes.
    """

    value: str
    name: str
    steps: int | None
    seconds: float | None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class VariantsPlan:
    """A planned group; ``problems`` concern all its runs. ``steps`` and ``seconds`` are totals, ``None`` if unknown."""

    key: str
    title: str
    variants: list[Variant]
    problems: list[str]
    steps: int | None
    seconds: float | None


def plan_variants(services: Services, request: VariantsRequest) -> VariantsPlan:
    """Return what ``request`` would queue, with every problem by value.

    Raises ``ConfigError`` if the setting cannot be varied or the source cannot be read, ``RunError`` if there is no
    such run.
    """
    return _planned(services, request)[0]


def queue_variants(services: Services, request: VariantsRequest) -> tuple[str, list[RunFolder]]:
    """Queue the runs of ``request`` and return the group's id and its runs, all or none.

    Raises ``ConfigError`` with every problem, each with its value, and ``WorkerEnvironmentError`` if the worker could
    not run.
    """
    plan, jobs = _planned(services, request)
    problems = plan.problems + [f"{variant.value}: {problem}" for variant in plan.variants
                                for problem in variant.problems]
    if problems:
        raise ConfigError(problems)
    services.environment.command([TRAIN])
    strips = [strip_of(services, job, request.txt2img) for job in jobs]
    group = f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 1_000_000:06d}"
    runs: list[RunFolder] = []
    try:
        for position, (variant, job, strip) in enumerate(zip(plan.variants, jobs, strips, strict=True)):
            runs.append(made_run(services, job, strip))
            write_group(runs[-1], RunGroup(group, plan.title, plan.key, variant.value, position,
                                           request.grid and len(jobs) > 1))
    except BaseException:
        for run in runs:  # made just now, with nothing but their settings in them
            shutil.rmtree(run.path, ignore_errors=True)
        raise
    for run, job in zip(runs, jobs, strict=True):
        enqueue(run, device_of(services, job.training.device))
    services.supervisor.wake()
    return group, runs


def _planned(services: Services, request: VariantsRequest) -> tuple[VariantsPlan, list[Job]]:
    setting = varied_field(request.key)
    source = _source(services, request)
    problems = _of_the_list(setting, request.values)
    variants, jobs = [], []
    taken = taken_names(services)
    for value in request.values[:MOST]:
        variant, job = _variant(services, source, setting, value, taken)
        taken.add(variant.name.lower())
        variants.append(variant)
        jobs.append(job)
    common = [problem for problem in variants[0].problems if all(problem in other.problems for other in variants)
              ] if len(variants) > 1 else []
    for variant in variants:
        variant.problems[:] = [problem for problem in variant.problems if problem not in common]
    steps, seconds = [one.steps for one in variants], [one.seconds for one in variants]
    return VariantsPlan(setting.key, title_of(setting, request.values), variants, problems + common,
                        _sum(steps), _sum(seconds)), jobs


def _source(services: Services, request: VariantsRequest) -> dict[str, Any]:
    """Return the values of the job to vary, nested by group. Raises ``RunError`` or ``ConfigError``."""
    if not request.run:
        values: dict[str, Any] = copy.deepcopy(request.job)
    else:
        run = open_run(services.runs_dir, request.run)
        if run.command != TRAIN:
            raise RunError(f"{request.run} is no training run, so it has no settings to vary.")
        values = job_to_dict(job_of(run))
    wrong = [group for group, content in values.items() if not isinstance(content, dict)]
    if wrong:
        raise ConfigError(f"The form: {wrong[0][:80]} has to be a list of settings.")
    return values


def _of_the_list(setting: SettingField, values: list[Any]) -> list[str]:
    """Return the problems of the list of values as a whole."""
    if not values:
        return [f"Give at least one value of {setting.label}."]
    if len(values) > MOST:
        return [f"These are {len(values)} values. Give {MOST} at most, since so many runs can be compared; queue the "
                "others afterwards."]
    words = [in_words(setting, value) for value in values]
    twice = [word for index, word in enumerate(words) if values[index] in values[:index]]
    return [f"{word} is in the list twice. Remove one." for word in dict.fromkeys(twice)]


def _variant(services: Services, source: dict[str, Any], setting: SettingField, value: Any,
             taken: set[str]) -> tuple[Variant, Job]:
    values = copy.deepcopy(source)
    notes: list[str] = []
    problems: list[str] = []
    known = {str(file.path) for file in services.host.checkpoints()}
    if setting.key == CHECKPOINT and isinstance(value, str) and value in known:  # else refused below
        notes, problems = _on_base(services, values, value, known)
    values.setdefault(setting.group, {})[setting.name] = value
    notes += follow(source, values, setting, value)
    notes += _in_phases(values, setting)
    save = values.setdefault("save", {})
    name = str(save.get("output_name") or "").strip()
    if name:
        save["output_name"] = next_free_name(variant_name(name, setting, value), taken)
    plan = check_job(services, values)
    job = complete_job(services, values)[0]
    idle = plan["idle"].get(setting.key)
    notes += [f"Has no effect: {idle}"] if idle else []
    notes += [note["text"] for note in plan["notes"] if note["key"] == setting.key and _NO_EFFECT in note["text"]]
    return Variant(in_words(setting, value), job.save.output_name, plan["total_steps"], plan["seconds"],
                   [*problems, *plan["problems"]], notes), job


def _in_phases(values: dict[str, Any], setting: SettingField) -> list[str]:
    """What training phases of the job keep of ``setting``."""
    training = values.get("training")
    phases = training.get("phases") if isinstance(training, dict) else None
    named = [(number, phase) for number, phase in enumerate(phases if isinstance(phases, list) else (), start=2)
             if isinstance(phase, dict)]
    if named and setting.key in _LENGTHS:
        return ["It is the length of the first phase; the others keep theirs."]
    return [f"{_titled(phase, number)} keeps its own value."
            for number, phase in named if isinstance(own := phase.get(setting.group), dict) and setting.name in own]


def _titled(phase: dict[str, Any], number: int) -> str:
    title = title_of_phase(phase, number)
    return title[:1].upper() + title[1:]


def _on_base(services: Services, values: dict[str, Any], checkpoint: str,
             known: Collection[str]) -> tuple[list[str], list[str]]:
    """Move the job to another base of the ``known`` ones; the trainer generates its samples if it is not loaded."""
    loaded, sample = services.host.checkpoint(), values.setdefault("sample", {})
    source = values.get("base", {}).get("checkpoint") or (str(loaded.path) if loaded is not None else "")
    notes, problems = move_to_base(values, Path(source) if source in known else None, Path(checkpoint))
    if sample.get("sample_by", "worker") != "worker" and (loaded is None or str(loaded.path) != checkpoint):
        sample["sample_by"] = "worker"
        notes.append("Samples during training are generated by the trainer, since the webui has another checkpoint "
                     "loaded.")
    return notes, problems


def _sum(numbers: list[Any]) -> Any:
    return None if not numbers or None in numbers else sum(numbers)
