"""The routes of a run's diagnosis."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from ....config.job import Job
from ....errors import ConfigError, DatasetError, RunError
from ....files.confine import Confined
from ....runs.folder import RunFolder, open_run
from ....runs.job import settings_of
from ....runs.state import AT_WORK
from ....runs.state import WAITING as STATE_WAITING
from ...access import dataset_folder
from ...services import Services
from .answer import detail_of, diagnosis_of, relative_path
from .now import states_now
from .read import Diagnosed, read_diagnosis
from .records import NONE, OFF, WAITING, Diagnosis, ImageNow


def register(router: APIRouter, services: Services) -> None:
    """Add ``/runs/{run_id}/diagnosis`` and ``/runs/{run_id}/diagnosis/image``."""

    def diagnosis(run_id: str, seen: str = "") -> dict[str, Any]:
        return answer(services, open_run(services.runs_dir, run_id), seen)

    def image(run_id: str, index: int = 0) -> dict[str, Any]:
        found = read_diagnosis(open_run(services.runs_dir, run_id))
        images = len(found.plan.images)
        if not 0 <= index < images:
            raise RunError(f"The diagnosis of this run has no image {index}. It has {images}, counted from 0.")
        return dataclasses.asdict(detail_of(found, index))

    router.add_api_route("/runs/{run_id}/diagnosis", diagnosis, methods=["GET"])
    router.add_api_route("/runs/{run_id}/diagnosis/image", image, methods=["GET"])


def answer(services: Services, run: RunFolder, seen: str) -> dict[str, Any]:
    """Return the ``diagnosis`` of ``run`` and its ``mark``; ``None`` instead if ``seen`` is still its mark."""
    job = _job_of(run)
    read = read_diagnosis(run)
    if read.begun:
        folder, problem = _folder_of(services, job)
        found = diagnosis_of(read, folder, now_of(read, folder, job), [*read.problems, *([problem] if problem else [])])
    else:
        is_open = services.index.of(run).state in (*AT_WORK, STATE_WAITING)
        found = Diagnosis(OFF if job and not job.diagnosis.diagnose else WAITING if is_open else NONE)
    plain = dataclasses.asdict(found)
    mark = hashlib.sha256(repr(plain).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return {"mark": mark, "diagnosis": None if mark == seen else plain}


def now_of(found: Diagnosed, folder: Path | None, job: Job | None) -> dict[int, ImageNow]:
    """Return the state of the images in findings, by index; empty if the dataset cannot be read."""
    if folder is None or job is None:
        return {}
    images = found.plan.images
    findings = found.findings.images if found.findings else ()
    wanted = sorted({image for finding in findings for image in (finding.image, *finding.copies)})
    return states_now(Confined(folder), {
        index: (relative_path(images[index].path, folder), images[index].caption) for index in wanted
        if 0 <= index < len(images)}, job.dataset)


def _job_of(run: RunFolder) -> Job | None:
    try:
        return settings_of(run)
    except ConfigError:  # the run's own view reports it
        return None


def _folder_of(services: Services, job: Job | None) -> tuple[Path | None, str]:
    """The dataset's folder, or the reason why its images cannot be shown."""
    if job is None:
        return None, "The images cannot be shown: the settings of this run cannot be read."
    try:
        return dataset_folder(services.host, job.dataset.train_data_dir), ""
    except DatasetError as problem:
        return None, f"The images cannot be shown: {problem}"
