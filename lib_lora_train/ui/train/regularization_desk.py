"""Queues the regularization images that the webui generates, one folder at a time."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from PIL import Image

from ...config.job import Job
from ...errors import RunError
from ...files.atomic import write_atomically
from ...files.confine import inside
from ...files.writing import writing
from ...host.interface import PictureSettings, SeriesPlan
from ...runs.hold import REGULARIZATION
from ..drawing import DrawingService
from ..pictures import keep_picture
from ..series import PromptSeries

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


class _Pictures(PromptSeries):
    def __init__(self, folder: Path, pictures: list[tuple[Path, str]], job: Job) -> None:
        self._folder, self._pictures = folder, pictures
        settings = PictureSettings(*job.dataset.size, _STEPS, _CFG_SCALE, job.training.seed, job.base.clip_skip,
                                   _SAMPLER)
        super().__init__(REGULARIZATION, f"Regularization images for {folder.parent.name}",
                         [SeriesPlan((prompt,), settings) for _, prompt in pictures], self._keep_one)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "folder": str(self._folder)}

    def _keep_one(self, place: int, picture: Image.Image) -> None:
        path, prompt = self._pictures[place]
        inside(self._folder, path.relative_to(self._folder).as_posix())
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path.with_suffix(".txt"), prompt)
        keep_picture(path, picture)
