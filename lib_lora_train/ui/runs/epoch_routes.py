"""Routes about which epoch of a run to use, and the worker job that measures its saved files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from ...config.groups.diagnose import DiagnoseJob
from ...config.load import job_to_yaml
from ...config.taggers import taggers_in
from ...errors import ConfigError, DatasetError, RunError
from ...runs.diagnosis.generated import write_strip_images
from ...runs.diagnosis.which_epoch import which_epoch
from ...runs.events import read_events
from ...runs.folder import DIAGNOSE, TEST, TRAIN, RunFolder, create_run, open_run
from ...runs.job import settings_of, values_of
from ...runs.queue import enqueue
from ...runs.summary import RunSummary
from ..access import dataset_folder
from ..captions.tagging_job import taggers_dir
from ..services import Services
from ..train.job_request import device_of
from .strip_store import saved_files, strip_images

_ENDED_BADLY = ("failed", "lost", "damaged")
_PROGRESS = ("progress", "phase")


class MeasureRequest(BaseModel):
    """A folder of images that the LoRA was not trained on; empty for those that the run held out."""

    validation_data_dir: str = ""


def register(router: APIRouter, services: Services) -> None:
    """Add ``/runs/ID/epochs``."""

    def epochs(run_id: str) -> dict[str, Any]:
        return epochs_of(services, _trained(services, run_id))

    def measure(run_id: str, request: MeasureRequest) -> dict[str, Any]:
        return {"id": measure_run(services, _trained(services, run_id), request).id}

    router.add_api_route("/runs/{run_id}/epochs", epochs, methods=["GET"])
    router.add_api_route("/runs/{run_id}/epochs", measure, methods=["POST"])


def epochs_of(services: Services, run: RunFolder) -> dict[str, Any]:
    """What ``which_epoch`` says of ``run``, and ``measuring``: the job that measures it, its state and its progress.

    ``features_dir`` is the folder for models of image features.
    """
    found = which_epoch(run.path, read_events(run.events_file)[0], settings_of(run))
    return {**dataclasses.asdict(found), "measuring": _measuring(services, run),
            "features_dir": str(features_dir(services))}


def measure_run(services: Services, run: RunFolder, request: MeasureRequest) -> RunFolder:
    """Queue a job that measures the saved files of ``run``.

    Raises ``ConfigError`` or ``RunError`` if it cannot be measured, ``WorkerEnvironmentError`` if the worker could not
    run.
    """
    if _is_open(services, run):
        raise RunError(f"The saved files of {run.id} are being measured already.")
    taggers = taggers_dir(services)
    tagger = next((files.name for files in taggers_in(taggers)), "")
    job = DiagnoseJob(run=str(run.path), tagger=tagger, taggers_dir=str(taggers),
                      features_dir=str(features_dir(services)))
    trained = settings_of(run)
    problems = []
    if request.validation_data_dir.strip():
        try:
            folder = str(dataset_folder(services.host, request.validation_data_dir))
            job = dataclasses.replace(job, validation_data_dir=folder)
        except DatasetError as problem:
            problems.append(f"validation_data_dir: {problem}")
    if not any(Path(event["path"]).is_file() for event in services.index.of(run).saved):
        problems.append(f"None of the files of {run.id} is there any more, so there is nothing to measure.")
    if problems:
        raise ConfigError(problems)
    services.environment.command([DIAGNOSE])
    write_strip_images(run.path, strip_images(run, saved_files(services.index.of(run).saved)))
    made = create_run(services.runs_dir, f"{DIAGNOSE}-{run.id[16:] or run.id}", job_to_yaml(job), DIAGNOSE)
    enqueue(made, device_of(services, trained.training.device))
    services.supervisor.wake()
    return made


def features_dir(services: Services) -> Path:
    """The webui's folder of models of image features, beside that of the taggers."""
    return taggers_dir(services).with_name("features")


def _trained(services: Services, run_id: str) -> RunFolder:
    run = open_run(services.runs_dir, run_id)
    if run.command not in (TRAIN, TEST):
        raise RunError(f"The run {run_id} is no training, so it has no epochs.")
    return run


def _jobs_of(services: Services, run: RunFolder) -> list[RunSummary]:
    """The measuring jobs of ``run``, newest first."""
    return [summary for summary in services.index.all() if summary.command == DIAGNOSE
            and values_of(open_run(services.runs_dir, summary.id)).get("run") == str(run.path)]


def _is_open(services: Services, run: RunFolder) -> bool:
    return any(job.alive or job.state == "waiting" for job in _jobs_of(services, run))


def _measuring(services: Services, run: RunFolder) -> dict[str, Any] | None:
    """The newest job: open, or ended with an error that the page has to show; ``None`` otherwise."""
    job = next(iter(_jobs_of(services, run)), None)
    if job is None:
        return None
    is_open = job.alive or job.state == "waiting"
    if not is_open and job.state not in _ENDED_BADLY:
        return None
    events = read_events(RunFolder(services.runs_dir / job.id).events_file)[0]
    last: dict[str, Any] = next((event for event in reversed(events) if event["event"] in _PROGRESS), {})
    return {"id": job.id, "open": is_open, "state": job.state, "text": job.error or job.phase,
            "done": last.get("done"), "total": last.get("total"), "seconds_left": last.get("seconds_left")}
