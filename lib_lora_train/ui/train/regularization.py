"""Regularization pictures made by the webui: one for each training picture, as the guide's "hard route" has it.

The model that is trained draws each caption with DDIM, at the training's resolution and seed. The pictures get the
names of the training pictures, in the folder ``reg`` among them, so that each is seen as often as its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from ...config.check import problems_of
from ...config.job import Job
from ...config.load import read_job
from ...errors import ConfigError, RunError, TrainLoraError
from ...files.atomic import write_atomically
from ...host.interface import NOT_DRAWN_HERE, PictureSettings, PlotDrawer, SeriesPlan
from ...pictures.scan import Picture
from ..access import dataset_folder
from ..pictures import keep_picture
from ..services import Services

FOLDER = "reg"
_SAMPLER = "DDIM"
_STEPS, _CFG_SCALE = 20, 7.0


class RegularizationDesk:
    """Draws one folder's regularization pictures at a time."""

    def __init__(self, new_drawer: Callable[[], PlotDrawer | None]) -> None:
        self._new_drawer = new_drawer
        self._drawer: PlotDrawer | None = None
        self._lock = threading.Lock()
        self._state: dict[str, Any] = {"state": "idle", "done": 0, "total": 0, "folder": "", "error": ""}

    def state(self) -> dict[str, Any]:
        """``state`` is idle, drawing, finished, stopped or failed; ``done`` of ``total`` pictures; their ``folder``."""
        return dict(self._state)

    def start(self, folder: Path, pictures: list[tuple[Path, str]], job: Job) -> dict[str, Any]:
        """Begin to draw ``pictures``, each a file of ``folder`` to be written and its prompt.

        Raises ``RunError`` if that cannot be done now.
        """
        drawer = self._new_drawer()
        if drawer is None:
            raise RunError(NOT_DRAWN_HERE)
        with self._lock:
            if self._state["state"] == "drawing":
                raise RunError("Regularization pictures are being drawn already. Wait for them, or stop.")
            self._drawer = drawer
            self._state = {"state": "drawing", "done": 0, "total": len(pictures), "folder": str(folder), "error": ""}
        width, height = job.dataset.size
        plan = SeriesPlan(tuple(prompt for _, prompt in pictures), PictureSettings(
            width, height, _STEPS, _CFG_SCALE, job.training.seed, job.base.clip_skip, _SAMPLER))
        threading.Thread(target=self._draw, args=(drawer, plan, pictures), name="train-lora-regularization",
                         daemon=True).start()
        return self.state()

    def _draw(self, drawer: PlotDrawer, plan: SeriesPlan, pictures: list[tuple[Path, str]]) -> None:
        def keep(number: int, picture: Image.Image) -> None:
            path, prompt = pictures[number]
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path.with_suffix(".txt"), prompt)
            keep_picture(path, picture)
            self._state = {**self._state, "done": number + 1}

        try:
            drawer.draw_series(plan, keep)
        except Exception as problem:  # a full disk, or the webui's own: it is shown where the progress was
            logging.getLogger(__name__).exception("Regularization pictures could not be drawn")
            self._state = {**self._state, "state": "failed", "error": f"It ended with: {problem}"}
        else:
            done = self._state["done"] == self._state["total"]
            self._state = {**self._state, "state": "finished" if done else "stopped"}

    def stop(self) -> None:
        """Leave out what is not drawn yet."""
        if self._drawer is not None:
            self._drawer.stop()


def start_regularization(services: Services, desk: RegularizationDesk, values: dict[str, Any],
                         with_tag: bool) -> dict[str, Any]:
    """Draw what is missing for the dataset of the form's ``values``.

    Raises ``DatasetError``, ``ConfigError`` or ``RunError`` with a sentence if it cannot be done.
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
        raise RunError(f"Every picture has its regularization picture already, in {folder / FOLDER}.")
    return desk.start(folder / FOLDER, missing, job)


def _check_checkpoint(services: Services, job: Job) -> None:
    loaded = services.host.checkpoint()
    if job.base.checkpoint and (loaded is None or Path(job.base.checkpoint) != loaded.path):
        name = loaded.path.name if loaded else "nothing"
        raise RunError(f"The form trains on {Path(job.base.checkpoint).name}, and the webui would draw with {name}. "
                       "Choose the same checkpoint at the top of the webui.")


def pictures_to_draw(services: Services, folder: Path, job: Job, with_tag: bool) -> list[tuple[Path, str]]:
    """Where each regularization picture belongs that is not there yet, and its prompt.

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
    """The picture's caption; without the activation tag it shows the class, not what is learned."""
    separator = job.dataset.caption_separator
    tags = [tag.strip() for tag in picture.caption.split(separator.strip() or ",")]
    left_out = "" if with_tag else job.dataset.activation_tag.strip().lower()
    return f"{separator.strip()} ".join(tag for tag in tags if tag and tag.lower() != left_out)
