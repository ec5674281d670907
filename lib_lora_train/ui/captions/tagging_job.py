"""Builds a tagging job from the panel's values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ... import environment
from ...config.groups.tagging import FLORENCE, INTERROGATOR
from ...config.load import read_settings
from ...config.tag_job import TagJob, tag_problems_of
from ...config.taggers import find_captioner, find_tagger, known_tagger, where_captioner_belongs, where_it_belongs
from ...errors import ConfigError, DatasetError, TaggerError, TrainLoraError, WorkerEnvironmentError
from ...files.confine import local_path
from ...host.interface import NOT_DESCRIBED_HERE
from ..access import dataset_folder
from ..services import Services


def taggers_dir(services: Services) -> Path:
    """The webui's folder of taggers."""
    return services.host.models_dir / "TrainLora" / "taggers"


def complete_tag_job(services: Services, values: Mapping[str, Any]) -> TagJob:
    """Return the checked job of the panel's ``values``; the tagger folder is always the webui's own.

    Raises ``ConfigError`` that lists every problem, including a tagger that is neither installed nor downloadable.
    """
    filled = {group: dict(content) if isinstance(content, Mapping) else content for group, content in values.items()}
    dataset, tagger = filled.setdefault("dataset", {}), filled.setdefault("tagger", {})
    problems: list[str] = []
    if isinstance(dataset, dict):
        try:
            dataset["train_data_dir"] = str(dataset_folder(services.host, str(dataset.get("train_data_dir") or "")))
        except TrainLoraError as problem:
            problems.append(str(problem))
    if isinstance(tagger, dict):
        tagger["models_dir"] = str(taggers_dir(services))
    job, wrong = read_settings(TagJob, filled, source="The tag job")
    problems += wrong
    if not problems:
        problems += tag_problems_of(job)
    try:
        if job.tags_images:
            _check_tagger(services, job)
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


def _check_tagger(services: Services, job: TagJob) -> None:
    folder, model = Path(job.tagger.models_dir), job.tagger.model.strip()
    known = known_tagger(model)
    if known is None and ("/" in model or "\\" in model or Path(model).name != model or model == ".."):
        try:
            local_path(model)
        except DatasetError as problem:
            raise TaggerError(f"tagger.model: {problem}") from problem
        if services.host.access().folders is not None:
            raise TaggerError(f"tagger.model is {model[:200]!r}. The webui was started with --hide-ui-dir-config, so "
                              f"only taggers in {folder} can be used. Put it there.")
    try:
        found = find_tagger(folder, model)
    except OSError as problem:  # too long for a name
        raise TaggerError(f"tagger.model is {model[:200]!r}, which cannot be opened: {problem.strerror}.") from problem
    if found is None and (known is None or not job.tagger.download):
        raise TaggerError(where_it_belongs(folder, model))


def _has_gpu_build() -> bool:
    for group in ("onnxruntime-gpu", "onnxruntime-directml"):
        try:
            if environment.check(group).ready:
                return True
        except WorkerEnvironmentError:
            continue  # no build for this machine
    return False
