"""The desk that has the webui draw regularization pictures, one folder at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from ...config.job import Job
from ...errors import RunError, TrainLoraError
from ...files.atomic import write_atomically
from ...files.confine import inside
from ...files.writing import writing
from ...host.interface import NOT_DRAWN_HERE, PictureSettings, PlotDrawer, SeriesPlan
from ..pictures import keep_picture

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
        threading.Thread(target=self._draw, args=(drawer, plan, folder, pictures), name="train-lora-regularization",
                         daemon=True).start()
        return self.state()

    def _draw(self, drawer: PlotDrawer, plan: SeriesPlan, folder: Path, pictures: list[tuple[Path, str]]) -> None:
        def keep(number: int, picture: Image.Image) -> None:
            path, prompt = pictures[number]
            inside(folder, path.relative_to(folder).as_posix())
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path.with_suffix(".txt"), prompt)
            keep_picture(path, picture)
            self._state = {**self._state, "done": number + 1}

        try:
            drawer.draw_series(plan, keep)
        except TrainLoraError as problem:
            self._state = {**self._state, "state": "failed", "error": str(problem)}
        except Exception as problem:  # a bug, or the webui's own: it is shown where the progress was
            logging.getLogger(__name__).exception("Regularization pictures could not be drawn")
            self._state = {**self._state, "state": "failed", "error": f"It ended with: {problem}"}
        else:
            done = self._state["done"] == self._state["total"]
            self._state = {**self._state, "state": "finished" if done else "stopped"}

    def stop(self) -> None:
        """Leave out what is not drawn yet."""
        if self._drawer is not None:
            self._drawer.stop()
