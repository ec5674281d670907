"""Upscales images of a dataset with the webui's upscalers, in turns with everything else that the tab draws."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from ....captions.intake.intake import Intake
from ....captions.intake.upscaled import add_upscaled
from ....errors import DatasetError, RunError, TrainLoraError
from ....files.writing import writing
from ....host.interface import NOT_DRAWN_HERE, PlotDrawer
from ....pictures.images import PictureError, decoded_with_mask
from ....pictures.problems import names_of
from ....runs.hold import UPSCALING
from ...drawing import DrawingService
from ..editors import Session

_IDLE = {"state": "idle", "done": 0, "total": 0, "folder": "", "error": "", "label": "", "left": []}


@dataclass(frozen=True)
class Wanted:
    """An image to upscale: its path in the dataset, and the factor."""

    path: str
    factor: float


class UpscaleDesk:
    """Submits one set of images at a time to the drawing service."""

    def __init__(self, drawings: DrawingService) -> None:
        self._drawings = drawings
        self._lock = threading.Lock()
        self._last: _Upscaling | None = None

    def upscalers(self) -> list[str]:
        """The webui's upscalers; empty if it cannot be driven from the tab."""
        drawer = self._drawings.new_drawer()
        return drawer.upscalers() if drawer is not None else []

    def state(self) -> dict[str, Any]:
        """``state`` (idle, running, finished, stopped, failed), ``done`` of ``total`` images, and what came of it."""
        return self._last.facts() if self._last is not None else dict(_IDLE)

    def start(self, session: Session, images: Sequence[Wanted], unread: Sequence[str], upscaler: str,
              in_place: bool) -> dict[str, Any]:
        """Queue ``images``; ``unread`` are the paths of others whose size cannot be read.

        Raises ``RunError`` or ``DatasetError`` if that is not possible now.
        """
        if not images:
            damaged = f" {names_of([Path(path) for path in unread])} cannot be read." if unread else ""
            raise DatasetError("None of these images needs upscaling: they are large enough, or would become too "
                               f"large.{damaged}")
        with self._lock:
            if self.state()["state"] == "running":
                raise RunError("Images are already being upscaled. Wait until they are finished, or stop.")
            names = self.upscalers()
            if not names:
                raise RunError(NOT_DRAWN_HERE)
            if upscaler not in names:
                raise RunError(f"The webui has no upscaler {upscaler[:100]!r}. Choose one of: {', '.join(names)}.")
            task = _Upscaling(session, images, upscaler, in_place, [
                f"{path} was left as it is, since its size cannot be read." for path in unread])
            self._drawings.submit(task)
            self._last = task
        return task.facts()

    def stop(self) -> dict[str, Any]:
        """Stop after the current image; what is done is added."""
        self._drawings.cancel(lambda drawing, _: drawing is self._last)
        return self.state()


@dataclass
class _Upscaling:
    session: Session
    images: Sequence[Wanted]
    upscaler: str
    in_place: bool
    _left: list[str]
    kind: str = UPSCALING
    run: str = ""
    done: int = 0
    _state: str = "running"
    _error: str = ""
    _label: str = ""
    _files: list[tuple[Path, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.total = len(self.images)
        self.title = f"Upscaling in {self.session.editor.folder.name}"
        self._intake = Intake(self.session.editor.folder, self.total)

    def facts(self) -> dict[str, Any]:
        return {"state": self._state, "done": self.done, "total": self.total, "error": self._error,
                "folder": str(self.session.editor.folder), "label": self._label, "left": list(self._left)}

    def draw(self, drawer: PlotDrawer, drawn: Callable[[], None]) -> bool:
        wanted = self.images[self.done]
        try:
            picture = self._upscaled(drawer, wanted)
        except PictureError as problem:
            self._left.append(str(problem))
        else:
            if picture is None:
                return False
            file = self._intake.new_file(".png")
            with writing(file):
                picture.save(file, "PNG", compress_level=4)
            self._files.append((file, wanted.path))
        self.done += 1
        drawn()
        return self.done < self.total

    def _upscaled(self, drawer: PlotDrawer, wanted: Wanted) -> Image.Image | None:
        editor = self.session.editor
        path = editor.folder / wanted.path
        with editor.picture(wanted.path) as file:
            content = file.read()
        with decoded_with_mask(path, content) as (whole, alpha):
            picture = whole.copy()
            alpha = alpha.copy() if alpha is not None else None
        result = drawer.upscale(picture, self.upscaler, wanted.factor)
        if result is None:
            return None
        result = result.convert("RGB")
        if alpha is not None:
            result.putalpha(alpha.resize(result.size, Image.Resampling.LANCZOS))
        return result

    def end(self, problem: str, *, cancelled: bool) -> None:
        """Add what is done, also after a failure or a stop."""
        self._error = problem
        try:
            if self._files:
                done = add_upscaled(self.session.editor, self._intake, self._files, self.in_place)
                self._label, left = done.label, done.left
                self._left += left
        except TrainLoraError as failure:
            self._error = f"{self._error} {failure}".strip()
        finally:
            self._intake.close()
            self.session.settle_soon()
            self.session.read_sizes_soon()
            self._state = "failed" if self._error else "finished" if self.done == self.total else "stopped"
