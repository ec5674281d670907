"""Changes the settings of a queued run, unless it has been started meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....config.job import Job
from ....config.load import job_to_dict, job_to_yaml
from ....errors import ConfigError, RunError
from ....files.atomic import write_atomically
from ....runs.compare.group import RunGroup, read_group
from ....runs.folder import STRIP_FILE, TRAIN, RunFolder
from ....runs.job import settings_of
from ....runs.queue import QueueRequest, change_queued
from ...services import Services
from ...train.job_request import complete_job, device_of
from ..routes import strip_of
from ..strip_settings import Txt2img
from ..strip_store import Strip


def change_settings(services: Services, run: RunFolder, values: dict[str, Any], txt2img: Txt2img | None) -> str:
    """Replace the settings of the queued ``run`` by the form's ``values`` after the checks of a new run.

    Returns the name of its LoRA. Raises ``ConfigError`` with every problem, and ``RunError`` if the run has been
    started meanwhile, has trained steps already, or belongs to a group whose setting would change.
    """
    _check_editable(services, run)
    job, problems = complete_job(services, values, run.id)
    if problems:
        raise ConfigError(problems)
    _check_group(run, job)
    strip = strip_of(services, job, txt2img)
    device = device_of(services, job.training.device)

    def write(request: QueueRequest) -> QueueRequest:
        _write(services, run, job, strip)
        kept = request.any_gpu and device == request.device
        return replace(request, device=device, any_gpu=kept)

    change_queued(run, write)
    return job.save.output_name


def _check_editable(services: Services, run: RunFolder) -> None:
    summary = services.index.of(run)
    if run.command != TRAIN:
        raise RunError(f"{run.id} is no training run, so it has no settings to edit.")
    if summary.state == "waiting" and (summary.step or summary.has_training_state or run.changes_file is not None):
        raise RunError(f"The run {summary.name} is resumed from step {summary.training_state_step}, so its settings "
                       "have to stay. Use these settings for a new run to train with others.")


def _check_group(run: RunFolder, job: Job) -> None:
    """Raise ``RunError`` if ``job`` has another value of the setting that the run's group compares."""
    group: RunGroup | None = read_group(run)
    if group is None or group.problem:
        return
    name, _, field = group.key.partition(".")
    before, now = (job_to_dict(one).get(name, {}).get(field) for one in (settings_of(run), job))
    if before != now:
        raise RunError(f"The run belongs to the comparison “{group.title}”, so {group.key} has to stay {before}. "
                       "Queue another run for other values.")


def _write(services: Services, run: RunFolder, job: Job, strip: Strip | None) -> None:
    if strip is not None:
        services.strips.change(run, strip)
    else:
        (run.path / STRIP_FILE).unlink(missing_ok=True)
    write_atomically(run.job_file, job_to_yaml(job))
