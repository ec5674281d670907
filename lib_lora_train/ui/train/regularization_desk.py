"""Queues the regularization images that the webui generates, one folder at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from ...config.job import Job
from ...errors import RunError
from ...files.atomic import write_atomically
from ...files.confine import inside
from ...files.writing import writing
from ...host.interface import PictureSettings, PlotDrawer, SeriesPlan
from ...runs.hold import REGULARIZATION
from ..drawing import DrawingService
from ..pictures import keep_picture

_SAMPLER = "DDIM"
_STEPS, _CFG_SCALE = 20, 7.0
_IDLE = {"state": "idle", "done": 0, "total": 0, "folder": "", "error": ""}


class RegularizationDesk:
    """Submits the regularization images of one folder at a time to the drawing service."""

    def __init__(self, drawings: DrawingService) -> None:
        self._drawings = drawings
        self._lock = threading.Lock()
        self._last: _Pictures | None = None

    def state(self) -> dict[str, Any]:
        """Return ``state`` (idle, drawing, finished, stopped, failed), ``done`` of ``total`` images, ``folder``."""
        return self._last.state() if self._last is not None else dict(_IDLE)

    def start(self, folder: Path, pictures: list[tuple[Path, str]], job: Job) -> dict[str, Any]:
        """Queue ``pictures``, each an output file in ``folder`` and its prompt.

        Raises ``RunError`` if that is not possible now.
        """
        with self._lock:
            if self.state()["state"] == "drawing":
                raise RunError("Regularization images are already being generated. Wait for them, or stop.")
            asked = _Pictures(folder, pictures, job)
            self._drawings.submit(asked)
            self._last = asked
        return asked.state()

    def stop(self) -> None:
        """Cancel the remaining images."""
        self._drawings.cancel(lambda drawing, _: drawing is self._last)


class _Pictures:
    kind, run = REGULARIZATION, ""

    def __init__(self, folder: Path, pictures: list[tuple[Path, str]], job: Job) -> None:
        self._folder, self._pictures = folder, pictures
        self._settings = PictureSettings(*job.dataset.size, _STEPS, _CFG_SCALE, job.training.seed, job.base.clip_skip,
                                         _SAMPLER)
        self.title = f"Regularization images for {folder.parent.name}"
        self.done, self.total = 0, len(pictures)
        self._state, self._error = "drawing", ""

    def state(self) -> dict[str, Any]:
        return {"state": self._state, "done": self.done, "total": self.total, "folder": str(self._folder),
                "error": self._error}

    def draw(self, drawer: PlotDrawer, drawn: Callable[[], None]) -> bool:
        before, (path, prompt) = self.done, self._pictures[self.done]

        def keep(_: int, picture: Image.Image) -> None:
            inside(self._folder, path.relative_to(self._folder).as_posix())
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path.with_suffix(".txt"), prompt)
            keep_picture(path, picture)
            self.done += 1
            drawn()

        drawer.draw_series(SeriesPlan((prompt,), self._settings), keep)
        return before < self.done < self.total  # no progress means it was interrupted in the webui

    def end(self, problem: str, *, cancelled: bool) -> None:
        self._error = problem
        self._state = "failed" if problem else "finished" if self.done == self.total else "stopped"
