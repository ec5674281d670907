"""Routes of masking runs: the methods and models, starting, resuming, and the preview that a run made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from ...config.groups.masking import SUBJECT
from ...config.load import job_to_yaml, read_settings
from ...config.mask_job import MaskJob, mask_problems_of
from ...config.mask_models import (
    KNOWN_MASK_MODELS,
    find_mask_model,
    known_mask_model,
    mask_models_in,
    where_a_mask_model_belongs,
)
from ...config.setting import groups_of
from ...errors import ConfigError, DatasetError, RunError, TaggerError, TrainLoraError
from ...files.confine import local_path
from ...pictures.images import decoded
from ...runs.folder import MASK, RunFolder, create_run, open_run
from ...runs.queue import claimed_device, enqueue
from ..access import dataset_folder
from ..requests import JobRequest
from ..services import Services
from ..train.form import schema_of
from .mask_routes import mask_answer
from .tagging_job import device_of


def register(router: APIRouter, services: Services) -> None:
    """Add ``/masks`` and its subroutes; runs are watched and stopped through ``/runs/<id>``."""

    def masks() -> dict[str, Any]:
        folder = models_dir(services)
        return {**schema_of(groups_of(MaskJob)), "models_dir": str(folder), "models": models_of(folder),
                "run": latest_run(services)}

    def start(request: JobRequest) -> dict[str, Any]:
        return {"id": start_masking(services, request.job).id}

    def resume(run_id: str) -> dict[str, Any]:
        return {"id": resume_masking(services, run_id).id}

    def preview(run_id: str) -> dict[str, Any]:
        return preview_of(services, run_id)

    router.add_api_route("/masks", masks, methods=["GET"])
    router.add_api_route("/masks/runs", start, methods=["POST"])
    router.add_api_route("/masks/runs/{run_id}/continue", resume, methods=["POST"])
    router.add_api_route("/masks/runs/{run_id}/preview", preview, methods=["GET"])


def models_dir(services: Services) -> Path:
    """The webui's folder of mask models."""
    return services.host.models_dir / "TrainLora" / "masks"


def models_of(folder: Path) -> list[dict[str, Any]]:
    """Return every available model: the known ones, downloaded or not, then others found in ``folder``."""
    here = [name for name in mask_models_in(folder) if known_mask_model(name) is None]
    return [{"name": model.name, "about": model.about, "repository": model.repository, "megabytes": model.megabytes,
             "here": find_mask_model(folder, model.name) is not None} for model in KNOWN_MASK_MODELS] + \
        [{"name": name, "about": "your own", "repository": None, "megabytes": 0, "here": True} for name in here]


def latest_run(services: Services) -> dict[str, Any] | None:
    """Return the masking run that is running, queued or last interrupted, for a newly opened page."""
    for run in services.index.all():
        if run.command == MASK:
            waits = run.state == "waiting" and run.device is not None
            return {"id": run.id, "state": run.state} if run.alive or waits or run.state == "lost" else None
    return None


def complete_mask_job(services: Services, values: Mapping[str, Any]) -> MaskJob:
    """Return the checked job of the panel's ``values``; the model folder is always the webui's own.

    Raises ``ConfigError`` that lists every problem, including a model that is neither here nor downloadable.
    """
    filled = {group: dict(content) if isinstance(content, Mapping) else content for group, content in values.items()}
    dataset, mask = filled.setdefault("dataset", {}), filled.setdefault("mask", {})
    problems: list[str] = []
    if isinstance(dataset, dict):
        try:
            dataset["train_data_dir"] = str(dataset_folder(services.host, str(dataset.get("train_data_dir") or "")))
        except TrainLoraError as problem:
            problems.append(str(problem))
    if isinstance(mask, dict):
        mask["models_dir"] = str(models_dir(services))
    job, wrong = read_settings(MaskJob, filled, source="The mask job")
    problems += wrong
    if not problems:
        problems += mask_problems_of(job)
    if not problems and job.mask.method == SUBJECT:
        try:
            _check_model(services, job)
        except TaggerError as problem:
            problems.append(str(problem))
    if problems:
        raise ConfigError(problems)
    return job


def start_masking(services: Services, values: dict[str, Any]) -> RunFolder:
    """Queue a masking run with the panel's ``values``.

    Raises ``ConfigError`` with every problem, and ``WorkerEnvironmentError`` if the worker could not run.
    """
    job = complete_mask_job(services, values)
    services.environment.command([MASK])
    run = create_run(services.runs_dir, f"masks-{Path(job.dataset.train_data_dir).name}", job_to_yaml(job), MASK)
    enqueue(run, device_of(services, job.mask.provider) if job.mask.method == SUBJECT else "cpu")
    services.supervisor.wake()
    return run


def resume_masking(services: Services, run_id: str) -> RunFolder:
    """Resume an interrupted masking run. Raises ``RunError`` if it was not interrupted."""
    run = open_run(services.runs_dir, run_id)
    state = services.index.of(run).state
    if run.command != MASK or state != "lost":
        raise RunError(f"The run {run_id} is {state}; only an interrupted masking run can be resumed.")
    run.process_file.unlink(missing_ok=True)  # the run now counts as queued, no longer as interrupted
    enqueue(run, claimed_device(run) or "cpu")
    services.supervisor.wake()
    return run


def preview_of(services: Services, run_id: str) -> dict[str, Any]:
    """Return the mask that a run for one image made, as ``mask_answer`` does. Raises ``RunError`` if there is none."""
    run = open_run(services.runs_dir, run_id)
    file = run.state / "masks" / "1.png"
    if run.command != MASK or not file.is_file():
        raise RunError(f"The run {run_id} has made no mask.")
    with decoded(file) as mask:
        return mask_answer(mask.convert("L"))


def _check_model(services: Services, job: MaskJob) -> None:
    folder, model = models_dir(services), job.mask.model.strip()
    known = known_mask_model(model)
    if known is None and (Path(model).name != model or "\\" in model or model in ("", ".", "..")
                          or model.endswith(".onnx")):
        try:
            local_path(model)
        except DatasetError as problem:
            raise TaggerError(f"mask.model: {problem}") from problem
        if services.host.access().folders is not None:
            raise TaggerError(f"mask.model is {model[:200]!r}. The webui was started with --hide-ui-dir-config, so "
                              f"only models in {folder} can be used. Put it there.")
    try:
        found = find_mask_model(folder, model)
    except OSError as problem:  # too long for a name
        raise TaggerError(f"mask.model is {model[:200]!r}, which cannot be opened: {problem.strerror}.") from problem
    except ValueError as problem:  # a null byte
        raise TaggerError(f"mask.model is {model[:200]!r}, which cannot be a path: {problem}.") from problem
    if found is None and (known is None or not job.mask.download):
        raise TaggerError(where_a_mask_model_belongs(folder, model))
