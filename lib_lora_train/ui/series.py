"""A task of the drawing service that generates images from prompts, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from ..host.interface import PlotDrawer, SeriesPlan


class PromptSeries:
    """One image for each of ``plans``; ``keep`` stores the image of a plan, given its index.

    See ``Drawing`` for the other members. It stops early if an image was interrupted in the webui.
    """

    run = ""

    def __init__(self, kind: str, title: str, plans: Sequence[SeriesPlan],
                 keep: Callable[[int, Image.Image], None]) -> None:
        self.kind, self.title = kind, title
        self._plans, self._keep = plans, keep
        self.done, self.total = 0, len(plans)
        self._state, self._error = "drawing", ""

    def state(self) -> dict[str, Any]:
        """``state`` (drawing, finished, stopped, failed), ``done`` of ``total`` images, and ``error``."""
        return {"state": self._state, "done": self.done, "total": self.total, "error": self._error}

    def draw(self, drawer: PlotDrawer, drawn: Callable[[], None]) -> bool:
        """Generate the next image; see ``Drawing``."""
        before = self.done

        def keep(_: int, picture: Image.Image) -> None:
            self._keep(before, picture)
            self.done += 1
            drawn()

        drawer.draw_series(self._plans[before], keep)
        return before < self.done < self.total  # no progress means it was interrupted in the webui

    def end(self, problem: str, *, cancelled: bool) -> None:
        """Note how it ended; see ``Drawing``."""
        self._error = problem
        self._state = "failed" if problem else "finished" if self.done == self.total else "stopped"
