"""Checks of what the base knows: the webui draws the words, then a worker tags, measures and says what follows."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

from PIL import Image

from ....errors import RunError
from ....host.interface import PictureSettings, SeriesPlan
from ....runs.diagnosis.knows import Drawing
from ....runs.events import EventWriter
from ....runs.folder import KNOWS, RunFolder
from ....runs.hold import BASE_CHECK, Reason
from ...drawing import DrawingService
from ...pictures import keep_picture
from ...series import PromptSeries

_REASON = Reason(BASE_CHECK, "images that show what the checkpoint knows")


class KnowsDesk:
    """Draws the words of one check at a time."""

    def __init__(self, drawings: DrawingService) -> None:
        self._drawings = drawings
        self._lock = threading.Lock()
        self._last: _Words | None = None

    def drawing(self, run_id: str) -> dict[str, Any] | None:
        """The state of the images of a check, as ``PromptSeries.state``; ``None`` if the webui draws none for it."""
        last = self._last
        return last.state() if last is not None and last.check.id == run_id else None

    def draw(self, run: RunFolder, drawings: list[Drawing], settings: PictureSettings,
             then: Callable[[], None]) -> None:
        """Queue ``drawings``, and call ``then`` when they are done, or could not be drawn for another reason than a
        stop. Raises ``RunError`` if that is not possible now.
        """
        with self._lock:
            if self._last is not None and self._last.state()["state"] == "drawing":
                raise RunError("Another check is generating its images. Wait until it is done, or stop it.")
            words = _Words(run, drawings, settings, then)
            self._drawings.submit(words)
            self._last = words

    def stop(self, run_id: str) -> bool:
        """Cancel the images of a check; ``False`` if the webui is not drawing them."""
        return bool(self._drawings.cancel(lambda drawing, _: isinstance(drawing, _Words)
                                          and drawing.check.id == run_id))


class _Words(PromptSeries):
    def __init__(self, check: RunFolder, drawings: list[Drawing], settings: PictureSettings,
                 then: Callable[[], None]) -> None:
        self.check, self._drawings, self._then = check, drawings, then
        plans = [SeriesPlan((drawing.prompt,), dataclasses.replace(settings, seed=drawing.seed), reason=_REASON)
                 for drawing in drawings]
        super().__init__(KNOWS, "What the base knows", plans, self._keep_one)

    def _keep_one(self, place: int, picture: Image.Image) -> None:
        keep_picture(self._drawings[place].file, picture)

    def end(self, problem: str, *, cancelled: bool) -> None:
        """Go on with the worker, which draws what is missing, unless the user has stopped it."""
        super().end(problem, cancelled=cancelled)
        stopped = not problem and self.done < self.total
        with EventWriter(self.check.events_file) as events:
            if problem:
                events.write("warning", {"text": f"{problem} The trainer generates the remaining images."})
            elif stopped:
                events.write("stopped", {"steps": 0, "seconds": 0.0})
        if not stopped:
            self._then()
