"""Routes of masking runs: the methods and models, starting, resuming, and the preview that a run made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from ...config.groups.masking import SUBJECT
from ...config.mask_job import MaskJob, mask_problems_of
from ...config.mask_models import (
    KNOWN_MASK_MODELS,
    find_mask_model,
    known_mask_model,
    mask_models_in,
    where_a_mask_model_belongs,
)
from ...config.setting import groups_of
from ...errors import ConfigError, RunError
from ...pictures.images import decoded
from ...runs.folder import MASK, RunFolder, open_run
from ..requests import JobRequest
from ..services import Services
from ..train.form import schema_of
from .folder_runs import ModelChoice, complete_job, latest_run, queue_run, resume_run
from .mask_routes import mask_answer
from .tagging_job import device_of


def register(router: APIRouter, services: Services) -> None:
    """Add ``/masks`` and its subroutes; runs are watched and stopped through ``/runs/<id>``."""

    def masks() -> dict[str, Any]:
        folder = models_dir(services)
        return {**schema_of(groups_of(MaskJob)), "models_dir": str(folder), "models": models_of(folder),
                "run": latest_run(services, MASK)}

    def start(request: JobRequest) -> dict[str, Any]:
        return {"id": start_masking(services, request.job).id}

    def resume(run_id: str) -> dict[str, Any]:
        return {"id": resume_run(services, run_id, MASK, "masking").id}

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


def complete_mask_job(services: Services, values: Mapping[str, Any]) -> MaskJob:
    """Return the checked job of the panel's ``values``; the model folder is always the webui's own.

    Raises ``ConfigError`` that lists every problem, including a model that is neither here nor downloadable.
    """
    job, problems = complete_job(MaskJob, services, values, "mask", models_dir(services), mask_problems_of)
    if not problems and job.mask.method == SUBJECT:
        problems = _chosen(services, job).problems(services)
    if problems:
        raise ConfigError(problems)
    return job


def start_masking(services: Services, values: dict[str, Any]) -> RunFolder:
    """Queue a masking run with the panel's ``values``.

    Raises ``ConfigError`` with every problem, and ``WorkerEnvironmentError`` if the worker could not run.
    """
    job = complete_mask_job(services, values)
    services.environment.command([MASK])
    device = device_of(services, job.mask.provider) if job.mask.method == SUBJECT else "cpu"
    return queue_run(services, job, MASK, "masks", device)


def preview_of(services: Services, run_id: str) -> dict[str, Any]:
    """Return the mask that a run for one image made, as ``mask_answer`` does. Raises ``RunError`` if there is none."""
    run = open_run(services.runs_dir, run_id)
    file = run.state / "masks" / "1.png"
    if run.command != MASK or not file.is_file():
        raise RunError(f"The run {run_id} has made no mask.")
    with decoded(file) as mask:
        return mask_answer(mask.convert("L"))


def _chosen(services: Services, job: MaskJob) -> ModelChoice:
    folder, model = models_dir(services), job.mask.model.strip()
    return ModelChoice("mask.model", "models", folder, model, known_mask_model(model) is not None, job.mask.download,
                       lambda: find_mask_model(folder, model), lambda: where_a_mask_model_belongs(folder, model))
