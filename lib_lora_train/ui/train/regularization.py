"""Regularization images made by the webui: one for each training image, as in the guide's "hard route".

The base model generates each caption with DDIM at the training's resolution and seed. The images get the names of the
training images, in the folder ``reg`` among them, so that each is seen as often as its counterpart.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...config.check import problems_of
from ...config.groups.trigger_word import without_trigger
from ...config.job import Job
from ...config.load import read_job
from ...errors import ConfigError, RunError, TrainLoraError
from ...files.confine import own_folder
from ...pictures.scan import Picture
from ..access import dataset_folder
from ..services import Services
from .regularization_desk import RegularizationDesk

FOLDER = "reg"


def start_regularization(services: Services, desk: RegularizationDesk, values: dict[str, Any],
                         with_tag: bool) -> dict[str, Any]:
    """Generate the missing images for the dataset of the form's ``values``.

    Raises ``DatasetError``, ``ConfigError`` or ``RunError`` with a sentence if it is not possible.
    """
    base = values.get("base")
    if isinstance(base, dict) or base is None:
        values = {**values, "base": {"clip_skip": services.host.clip_skip(), **(base or {})}}
    job, problems = read_job(values, source="The form")
    problems += [problem for problem in problems_of(job) if problem.startswith(("dataset.resolution", "dataset.ca"))]
    if problems:
        raise ConfigError(problems)
    _check_checkpoint(services, job)
    folder = dataset_folder(services.host, job.dataset.train_data_dir)
    missing = pictures_to_draw(services, folder, job, with_tag)
    if not missing:
        raise RunError(f"Every image already has its regularization image, in {folder / FOLDER}.")
    return desk.start(own_folder(folder, FOLDER), missing, job)


def _check_checkpoint(services: Services, job: Job) -> None:
    loaded = services.host.checkpoint()
    if job.base.checkpoint and (loaded is None or Path(job.base.checkpoint) != loaded.path):
        name = loaded.path.name if loaded else "nothing"
        raise RunError(f"The form trains on {Path(job.base.checkpoint).name}, but the webui would generate with "
                       f"{name}. "
                       "Choose the same checkpoint at the top of the webui.")


def pictures_to_draw(services: Services, folder: Path, job: Job, with_tag: bool) -> list[tuple[Path, str]]:
    """Return path and prompt of each missing regularization image.

    Raises ``TrainLoraError`` if the folder cannot be read.
    """
    values = {"dataset": {"train_data_dir": str(folder), "caption_extension": job.dataset.caption_extension,
                          "activation_tag": job.dataset.activation_tag}}
    settings, problems = read_job(values, source="The form")
    if problems:
        raise ConfigError(problems)
    dataset = services.datasets.survey(settings.dataset)
    errors = [problem.text for problem in dataset.problems if problem.level == "error"]
    if errors:
        raise TrainLoraError("\n".join(errors))
    wanted = [(folder / FOLDER / picture.path.relative_to(folder).with_suffix(".png"),
               prompt_of(picture, job, with_tag))
              for picture in dataset.pictures if not picture.regularization]
    return [(path, prompt) for path, prompt in wanted if not path.exists()]


def prompt_of(picture: Picture, job: Job, with_tag: bool) -> str:
    """Return the image's caption; without the trigger word it shows the class, not the subject."""
    return picture.caption if with_tag else without_trigger(picture.caption, job.dataset)
