"""Builds a tagging job from the panel's values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ... import environment
from ...config.groups.tagging import FLORENCE, INTERROGATOR
from ...config.tag_job import TagJob, tag_problems_of
from ...config.taggers import find_captioner, find_tagger, known_tagger, where_captioner_belongs, where_it_belongs
from ...errors import ConfigError, TaggerError, WorkerEnvironmentError
from ...host.interface import NOT_DESCRIBED_HERE
from ..services import Services
from .folder_runs import ModelChoice, complete_job


def taggers_dir(services: Services) -> Path:
    """The webui's folder of taggers."""
    return services.host.models_dir / "TrainLora" / "taggers"


def complete_tag_job(services: Services, values: Mapping[str, Any]) -> TagJob:
    """Return the checked job of the panel's ``values``; the tagger folder is always the webui's own.

    Raises ``ConfigError`` that lists every problem, including a tagger that is neither installed nor downloadable.
    """
    job, problems = complete_job(TagJob, services, values, "tagger", taggers_dir(services), tag_problems_of)
    if job.tags_images:
        problems += _chosen(services, job).problems(services)
    try:
        _check_captioner(services, job)
    except TaggerError as problem:
        problems.append(str(problem))
    if problems:
        raise ConfigError(problems)
    return job


def device_of(services: Services, provider: str) -> str:
    """The device that a run on ``provider`` waits for: the CPU, or the GPU that the webui lends."""
    if provider == "cpu" or (provider == "auto" and not _has_gpu_build()):
        return "cpu"
    device = services.host.device()
    return "cuda:0" if device in ("cpu", "cuda") else device


def _check_captioner(services: Services, job: TagJob) -> None:
    folder = Path(job.tagger.models_dir)
    if job.prose.captioner == FLORENCE and not job.prose.download and find_captioner(folder) is None:
        raise TaggerError(f"prose.captioner: {where_captioner_belongs(folder)}")
    if job.prose.captioner == INTERROGATOR:
        describer = services.host.describer()
        if describer is None:
            raise TaggerError(f"prose.captioner: {NOT_DESCRIBED_HERE}")
        missing = describer.missing()
        if missing and not job.prose.download:
            raise TaggerError(f"prose.captioner: {missing} Press the button again to allow it, or choose another way.")


def _chosen(services: Services, job: TagJob) -> ModelChoice:
    folder, model = taggers_dir(services), job.tagger.model.strip()
    return ModelChoice("tagger.model", "taggers", folder, model, known_tagger(model) is not None, job.tagger.download,
                       lambda: find_tagger(folder, model), lambda: where_it_belongs(folder, model))


def _has_gpu_build() -> bool:
    for group in ("onnxruntime-gpu", "onnxruntime-directml"):
        try:
            if environment.check(group).ready:
                return True
        except WorkerEnvironmentError:
            continue  # no build for this machine
    return False
