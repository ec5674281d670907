"""Test bakes: the settings of a short run of a plan, and what an earlier one has shown."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Any

from ....advice.goals.rule import TestBake
from ....advice.goals.tested import kind_of, rates_of
from ....advice.memory import GB, estimate_memory, fit
from ....advice.size import read_shapes
from ....config.job import Job
from ....errors import TrainLoraError
from ....files.json_file import DamagedFileError
from ....runs.diagnosis.proposal import FLAT
from ....runs.diagnosis.records import FOLDER, Findings, read_findings, read_plan
from ....runs.diagnosis.signs import OVERFIT
from ....runs.diagnosis.which_epoch import WhichEpoch, which_epoch
from ....runs.events import read_events
from ....runs.folder import RunFolder, open_run
from ....runs.job import settings_of
from ....runs.state import DAMAGED, FAILED, FINISHED, STOPPED, WAITING
from ....runs.summary import RunSummary
from ...services import Services

SECONDS = 600
"""About ten minutes, with what starting, saving and measuring take."""
_TRAINING_SHARE = 0.8
_USUAL_IMAGES, _FEWEST_IMAGES, _MOST_IMAGES = 300, 60, 800
_SAVES = 4
_HELD_OUT = 0.1
_LEAST_FOR_HELD_OUT = 20
_NAME = re.compile(r"-test(-v\d+)?$")
_RUNS_LOOKED_AT = 30
_LESS_MEMORY = 0.9
_LEARNING = ("fast", "slow", "barely", "share_learned", "suspicious", "tags", "rates", "of", "images_seen")
"""What a complete test bake shows better than one that ended early."""


def test_bake_changes(job: Job, images: int, seconds_per_step: float | None) -> dict[str, Any]:
    """Return the settings (``group.name``) that make a test bake of about ten minutes of ``job``.

    ``images`` is the number of its images. Without ``seconds_per_step`` of an earlier run it sees 300 images.
    """
    per_step = job.dataset.train_batch_size * job.training.gradient_accumulation_steps
    seen = _USUAL_IMAGES
    if seconds_per_step:
        seen = round(SECONDS * _TRAINING_SHARE / seconds_per_step) * per_step
    steps = max(1, min(max(seen, _FEWEST_IMAGES), _MOST_IMAGES) // per_step)
    changes: dict[str, Any] = {
        "training.max_train_steps": steps, "save.save_every_n_epochs": None,
        "save.save_every_n_steps": max(1, -(-steps // _SAVES)),
        "save.output_name": f"{_NAME.sub('', job.save.output_name) or 'lora'}-test"}
    if images >= _LEAST_FOR_HELD_OUT and not job.dataset.validation_split and not job.dataset.validation_data_dir:
        changes["dataset.validation_split"] = _HELD_OUT
    return changes


def test_bake_of(services: Services, job: Job, most_gb: float | None = None) -> TestBake | None:
    """Return what the ended test bakes on the images and checkpoint of ``job`` have shown; ``None`` without any.

    ``most_gb`` is the usable GPU memory. The newest counts. If it ended early, the rates and what was learned are those
    of the newest complete one.
    """
    bakes = []
    for run in services.index.all()[:_RUNS_LOOKED_AT]:
        if run.command != "train" or run.alive or run.state in (WAITING, DAMAGED):
            continue
        try:
            folder = open_run(services.runs_dir, run.id)
            made = settings_of(folder)
        except (TrainLoraError, OSError):
            continue  # a run that cannot be read is shown as such in Runs
        if _NAME.search(made.save.output_name) and _same_subject(made, job):
            bakes.append((run, _result(run, folder, made, most_gb), made))
    if not bakes:
        return None
    newest = bakes[0][1]
    whole = next((found for _, found, _ in bakes if not found.ending), None)
    sizes = [min(made.dataset.size) for run, _, made in bakes
             if run.out_of_memory and made.training.gradient_checkpointing]
    if newest.ending and not newest.diverged and whole is not None:
        newest = dataclasses.replace(
            newest, **{name: getattr(whole, name) for name in _LEARNING},
            complete=whole.name, seconds_per_step=newest.seconds_per_step or whole.seconds_per_step)
    return dataclasses.replace(newest, too_big=min(sizes, default=None))


def _same_subject(one: Job, other: Job) -> bool:
    return (one.dataset.train_data_dir, one.base.checkpoint) == (other.dataset.train_data_dir, other.base.checkpoint)


def _result(run: RunSummary, folder: RunFolder, job: Job, most_gb: float | None) -> TestBake:
    events = read_events(folder.events_file)[0]
    ending = "" if run.state == FINISHED else _ending(run)
    per_step = job.dataset.train_batch_size * job.training.gradient_accumulation_steps
    found = TestBake(
        run.id, run.lora_name or run.name, run.step * per_step, run.usual_seconds_per_step, run.diverged,
        ending=ending, problem="" if run.diverged or run.out_of_memory else run.error, of=kind_of(job),
        rates=rates_of(job), out_of_memory=run.out_of_memory,
        size=job.dataset.resolution)
    shapes = read_shapes(Path(job.base.checkpoint)) or {} if job.base.checkpoint else {}
    estimate = estimate_memory(shapes, fit(shapes, job)[0]) if shapes else None
    peak = max((int(event["peak_bytes"]) for event in events if event["event"] == "memory"
                and isinstance(event.get("peak_bytes"), (int, float))), default=0)
    had = [one for one in (job.training.fit_in_gb, most_gb, estimate and estimate.total / GB) if one]
    found = dataclasses.replace(
        found, ceiling_gb=max(1.0, math.floor(2 * _LESS_MEMORY * min(had)) / 2) if had else None,
        memory_error=peak - estimate.total if peak and estimate is not None else 0)
    return found if ending else _with_diagnosis(found, which_epoch(folder.path, events, job), folder)


def _ending(run: RunSummary) -> str:
    """How a run ended before its last step, to follow its name."""
    how = {STOPPED: "stopped", FAILED: "failed"}.get(run.state, "interrupted")
    after = " before its first step"
    if run.step and run.total_steps:
        after = f" after {run.step} of {run.total_steps} steps"
    if run.out_of_memory:
        return f"which ran out of memory{after}"
    return f"which diverged{after}" if run.diverged else f"{how}{after}"


def _with_diagnosis(bake: TestBake, found: WhichEpoch, folder: RunFolder) -> TestBake:
    images, tags = _suspicious(folder)
    fast = next((sign.text for sign in found.signs if sign.kind == OVERFIT), "")
    little = next((sign for sign in found.signs if sign.name in ("weak", "little")), None)
    flat = found.reason if found.sure == FLAT else ""
    slow = "" if fast else flat or ("" if little is None else little.text)
    return dataclasses.replace(
        bake, fast=fast, slow=slow, barely=bool(slow) and not flat and little is not None and little.name == "little",
        share_learned=_learned(found), suspicious=images, tags=tags)


def _learned(found: WhichEpoch) -> float | None:
    """Return how far the held-out loss fell from the base model to the end, as a share."""
    losses = [point.held_out for point in found.points]
    if len(losses) < 2 or found.points[0].step or not losses[0] or losses[-1] is None:
        return None
    return 1 - losses[-1] / losses[0]


def _suspicious(folder: RunFolder) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the images and the tags that the diagnosis of a run raised an alarm about."""
    try:
        plan, findings = read_plan(folder.path / FOLDER), read_findings(folder.path / FOLDER)
    except (DamagedFileError, OSError):
        return (), ()  # Runs says that the diagnosis cannot be read
    if plan is None or findings is None:
        return (), ()
    return _names(plan.images, findings), tuple(tag.tag for tag in findings.tags if tag.alarm)


def _names(images: Any, findings: Findings) -> tuple[str, ...]:
    by_index = {image.index: image.path for image in images}
    return tuple(re.split(r"[\\/]", by_index[one.image])[-1] for one in findings.images
                 if one.alarm and one.image in by_index)
