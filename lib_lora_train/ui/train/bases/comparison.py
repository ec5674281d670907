"""Starts a comparison of the webui's checkpoints, and reads its result for the form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....advice.bases.tag_style import WORDS, TagStyle, fit_of
from ....captions.doctor.style import CaptionStyle, caption_style
from ....config.groups.dataset import DatasetSettings
from ....config.groups.tools import BasesJob
from ....config.load import job_to_yaml
from ....errors import RunError, TrainLoraError
from ....files.json_file import DamagedFileError, read_object
from ....runs.folder import BASES, RunFolder, all_runs, create_run
from ....runs.queue import enqueue
from ...access import dataset_folder
from ...services import Services
from ..job_request import complete_job

_MOST_BYTES = 64 << 20
_SHORT_HASH = re.compile(r"\[([0-9a-f]{8,64})\]\s*$")
CACHE = "bases"


def start_comparison(services: Services) -> str:
    """Queue a comparison of every checkpoint of the webui; returns the run's id.

    Raises ``RunError`` if there are none, ``WorkerEnvironmentError`` if the worker cannot run.
    """
    services.host.refresh_checkpoints()
    files = sorted(services.host.checkpoints(), key=lambda file: file.title.lower())
    if not files:
        raise RunError("The webui has no checkpoints. Put them into its folder models/Stable-diffusion.")
    short = [match[1] if (match := _SHORT_HASH.search(file.title)) and len(match[1]) >= 10 else "" for file in files]
    job = BasesJob([str(file.path) for file in files], short, str(services.cache_dir / CACHE))
    services.environment.command([BASES])
    run = create_run(services.runs_dir, "bases", job_to_yaml(job), BASES)
    enqueue(run, "cpu")
    services.supervisor.wake()
    return run.id


def newest(services: Services) -> RunFolder | None:
    """The newest comparison, whether it has ended or not; ``None`` if there is none."""
    return next((run for run in all_runs(services.runs_dir) if run.command == BASES), None)


def result_for(services: Services, run: RunFolder, values: Mapping[str, Any]) -> dict[str, Any]:
    """The result of ``run`` with what it means for the form's ``values``: whether the captions fit each checkpoint.

    ``chosen`` is the number of the form's checkpoint, ``None`` if it was not compared; ``outdated`` names files that
    were added, changed or removed since. Raises ``RunError`` if there is no result that can be read.
    """
    try:
        result = read_object(run.result_file, _MOST_BYTES)
    except FileNotFoundError:
        raise RunError(f"The comparison {run.id} has no result yet.") from None
    except (OSError, DamagedFileError) as problem:
        raise RunError(f"The result of the comparison {run.id} cannot be read: {problem}. Compare again.") from problem
    listed = result.get("bases")
    if not isinstance(listed, list) or not all(isinstance(base, dict) for base in listed):
        raise RunError(f"The result of the comparison {run.id} names no checkpoints. Compare again.")
    bases: list[dict[str, Any]] = listed
    captions = _captions(services, values)
    shown = [{**base, "fit": _fit(base, captions)} for base in bases]
    return {**result, "id": run.id, "bases": shown, "captions": captions.words, "caption_style": captions.style,
            "chosen": _chosen(services, values, bases), "outdated": _outdated(services, bases)}


def _fit(base: Mapping[str, Any], captions: CaptionStyle) -> dict[str, str]:
    listed = base.get("styles")
    known = tuple(style for style in WORDS if isinstance(listed, list) and style in listed)
    style = TagStyle(known, str(base.get("style_from") or ""))
    fit = fit_of(captions.style, captions.words, style, str(base.get("name")))
    return {"level": fit.level, "text": fit.text}


def _captions(services: Services, values: Mapping[str, Any]) -> CaptionStyle:
    dataset = values.get("dataset")
    folder = dataset.get("train_data_dir") if isinstance(dataset, Mapping) else ""
    try:
        dataset_folder(services.host, str(folder or ""))
        settings: DatasetSettings = complete_job(services, values)[0].dataset
        return caption_style(services.datasets.survey(settings).pictures, settings.caption_separator)
    except TrainLoraError:
        return CaptionStyle("", "Choose the folder of images to see which checkpoints fit its captions.")


def _chosen(services: Services, values: Mapping[str, Any], bases: list[dict[str, Any]]) -> int | None:
    group = values.get("base")
    path = group.get("checkpoint") if isinstance(group, Mapping) else None
    loaded = services.host.checkpoint()
    wanted = str(path or "") or ("" if loaded is None else str(loaded.path))
    return next((number for number, base in enumerate(bases) if base.get("path") == wanted), None)


def _outdated(services: Services, bases: list[dict[str, Any]]) -> list[str]:
    compared = {str(base.get("path")): base for base in bases}
    there = {str(file.path): file.path for file in services.host.checkpoints()}
    found = [f"{Path(path).name} is new." for path in there if path not in compared]
    for path, base in compared.items():
        if path not in there:
            found.append(f"{Path(path).name} is gone.")
        elif base.get("mark") != _mark(there[path]):
            found.append(f"{Path(path).name} has changed.")
    return found


def _mark(path: Path) -> list[int]:
    try:
        state = path.stat()
    except OSError:
        return []
    return [state.st_size, state.st_mtime_ns]
