"""Estimates the duration of a run from the steps of earlier runs on this machine."""

from __future__ import annotations

from collections.abc import Callable

from ...config.job import Job
from ...config.load import load_job
from ...errors import TrainLoraError
from ...runs.folder import open_run
from ...runs.summary import RunSummary
from ..services import Services

_RUNS_COMPARED = 10
_CHECKPOINTING_TAKES = 1.3  # each block is computed once more in the backward pass


def expected_seconds(services: Services, job: Job, steps: int) -> float | None:
    """Return the seconds for ``steps`` of ``job``, without samples and saving; ``None`` if its checkpoint is new.

    Uses the newest run on the same checkpoint and device; its step time is scaled by the pixels per step.
    """
    return pace_on(services, job)(job, steps)


def pace_on(services: Services, job: Job) -> Callable[[Job, int], float | None]:
    """Return ``expected_seconds`` for jobs on the checkpoint and device of ``job``, with one reading of the runs."""
    for run in services.index.all()[:_RUNS_COMPARED]:
        if run.command == "train" and run.usual_seconds_per_step:
            earlier = _job_of(services, run)
            if earlier is not None and _alike(earlier, job):
                pace = run.usual_seconds_per_step / _work(earlier)
                return lambda other, steps: steps * pace * _work(other)
    return lambda other, steps: None


def _job_of(services: Services, run: RunSummary) -> Job | None:
    try:
        return load_job(open_run(services.runs_dir, run.id).job_file)
    except (TrainLoraError, OSError):  # an old run whose folder or settings are gone
        return None


def _alike(one: Job, other: Job) -> bool:
    return one.base.checkpoint == other.base.checkpoint and one.training.device == other.training.device


def _work(job: Job) -> float:
    """Return the pixels of a step, with the overhead of checkpointing."""
    width, height = job.dataset.size
    images_per_step = job.dataset.train_batch_size * job.training.gradient_accumulation_steps
    return width * height * images_per_step * (_CHECKPOINTING_TAKES if job.training.gradient_checkpointing else 1.0)
