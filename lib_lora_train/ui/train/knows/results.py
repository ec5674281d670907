"""The result of a check, and whether it still holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....captions.traits import fingerprint
from ....config.groups.knows import KnowsJob
from ....config.load import read_file, read_settings
from ....errors import RunError, TrainLoraError
from ....files.json_file import DamagedFileError
from ....runs.diagnosis.knows import file_mark, read_result
from ....runs.folder import KNOWS, RunFolder, all_runs
from ...access import dataset_folder
from ...services import Services
from ..routes import thumbnail_url

_MOST_IMAGES = 300


def latest(services: Services, values: Mapping[str, Any]) -> RunFolder | None:
    """The newest check of the form's folder and checkpoint, whether it has ended or not; ``None`` if there is none."""
    loaded = services.host.checkpoint()
    checkpoint = _value(values, "base", "checkpoint") or (None if loaded is None else str(loaded.path))
    try:
        folder = dataset_folder(services.host, str(_value(values, "dataset", "train_data_dir") or ""))
    except TrainLoraError:
        return None
    for run in all_runs(services.runs_dir):
        if run.command != KNOWS:
            continue
        try:
            job = _job_of(run)
        except TrainLoraError:
            continue  # a damaged run is reported in the list of runs
        if job.base.checkpoint == checkpoint and Path(job.dataset.train_data_dir) == folder:
            return run
    return None


def _value(values: Mapping[str, Any], group: str, name: str) -> Any:
    content = values.get(group)
    return content.get(name) if isinstance(content, Mapping) else None


def result_with_age(services: Services, run: RunFolder) -> dict[str, Any]:
    """The result of ``run`` for the page, with ``outdated`` (sentences on what has changed since) and addresses.

    Raises ``RunError`` if it has none that can be read.
    """
    try:
        result = read_result(run)
    except FileNotFoundError:
        raise RunError(f"The check {run.id} has no result yet.") from None
    except (OSError, DamagedFileError) as problem:
        raise RunError(f"The result of the check {run.id} cannot be read: {problem}. Make a new one.") from problem
    folder = Path(str(result.get("folder")))
    listed, words = result.get("images"), result.get("words")
    if not isinstance(listed, list) or not isinstance(words, list):
        raise RunError(f"The result of the check {run.id} cannot be read: it has no images or no words. Make a new "
                       "one.")
    images = [image for image in listed if isinstance(image, dict)]
    shown = [{**image, "url": thumbnail_url(folder, str(image.get("path")))} for image in images[:_MOST_IMAGES]]
    return {**result, "id": run.id, "outdated": changes_since(services, run, result), "images": shown,
            "image_count": len(images)}


def changes_since(services: Services, run: RunFolder, result: Mapping[str, Any]) -> list[str]:
    """What has changed since ``run`` had its ``result``: sentences on the checkpoint, the images and the captions."""
    changed = []
    checkpoint = Path(str(result.get("checkpoint")))
    mark = file_mark(checkpoint)
    if mark != result.get("checkpoint_mark"):
        changed.append(f"{checkpoint.name} has changed since." if mark else f"{checkpoint.name} is gone.")
    try:
        settings = _job_of(run).dataset
        dataset_folder(services.host, settings.train_data_dir)  # may no longer be allowed
        dataset = services.datasets.survey(settings)
    except TrainLoraError:
        return [*changed, f"{result.get('folder')} cannot be read any more."]
    if fingerprint(dataset.folder, dataset.pictures) != result.get("captions"):
        changed.append("Images or captions have changed since.")
    return changed


def _job_of(run: RunFolder) -> KnowsJob:
    """Raises ``ConfigError`` if the job cannot be read."""
    return read_settings(KnowsJob, read_file(run.job_file), source="The check")[0]
