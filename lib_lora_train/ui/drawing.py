"""The single thread that generates images with the webui: plots, regularization images and test strips.

Tasks wait in one queue. Each turn runs one piece of a task, an image or a whole plot, so a long task does not block the
others. Background tasks (the strips) get a turn in between.
"""

from __future__ import annotations

import logging
import statistics
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..errors import RunError, TrainLoraError
from ..host.interface import NOT_DRAWN_HERE, PlotDrawer

_TRY_AGAIN_SECONDS = 30.0
QUEUED, DRAWING, WAITING = "queued", "drawing", "waiting"
"""State of a task: queued, generating, or waiting for the webui to finish other work."""


class Drawing(Protocol):
    """A generation task that runs piece by piece.

    ``kind`` is plot, regularization or strip, ``title`` a description, ``run`` the run it belongs to, empty if none.
    """

    kind: str
    title: str
    run: str

    @property
    def done(self) -> int:
        """The number of images generated."""
        ...

    @property
    def total(self) -> int:
        """The total number of images."""
        ...

    def draw(self, drawer: PlotDrawer, drawn: Callable[[], None]) -> bool:
        """Generate the next piece, calling ``drawn`` after each image; returns whether another piece follows.

        Any exception ends the task.
        """
        ...

    def end(self, problem: str, *, cancelled: bool) -> None:
        """Called at the end: complete if ``problem`` (a sentence) is empty and the task was not ``cancelled``."""
        ...


class Background(Protocol):
    """Low-priority tasks, generated when there is time."""

    def next_drawing(self) -> tuple[Drawing | None, float | None]:
        """Return the next task; if none, the seconds until the next call, ``None`` to wait for ``wake``."""
        ...


@dataclass(eq=False)
class _Entry:
    drawing: Drawing
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    drawer: PlotDrawer | None = None
    cancelled: bool = False
    last: float = 0.0
    paces: deque[float] = field(default_factory=lambda: deque(maxlen=20))

    def picture_drawn(self) -> None:
        now = time.monotonic()
        self.paces.append(now - self.last)
        self.last = now

    def facts(self) -> dict[str, Any]:
        """The state for the page. The median pace ignores waits for the webui, which affect only a few images."""
        drawing, drawer = self.drawing, self.drawer
        within = drawer.share_of_picture() if drawer is not None else None
        state = QUEUED if drawer is None else WAITING if within is None else DRAWING
        done, total = drawing.done, max(1, drawing.total)
        left = statistics.median(self.paces) * (total - done) if self.paces else None
        return {"id": self.id, "kind": drawing.kind, "title": drawing.title, "run": drawing.run, "state": state,
                "done": done, "total": total, "share": min(1.0, (done + (within or 0.0)) / total),
                "seconds_left": left}


class DrawingService(threading.Thread):
    """Runs the submitted tasks in turns, and background tasks in between."""

    def __init__(self, new_drawer: Callable[[], PlotDrawer | None]) -> None:
        super().__init__(name="train-lora-drawing", daemon=True)
        self.new_drawer = new_drawer
        self._queue: deque[_Entry] = deque()
        self._now: _Entry | None = None
        self._backgrounds: list[Background] = []
        self._backgrounds_turn = False
        self._changing = threading.RLock()
        self._wake, self._closing = threading.Event(), threading.Event()

    def draw_between(self, background: Background) -> None:
        """Use ``background`` as a further source of background tasks, after the earlier ones."""
        self._backgrounds.append(background)

    def submit(self, drawing: Drawing) -> str:
        """Queue ``drawing`` and return its id. Raises ``RunError`` if this webui cannot generate images for the tab."""
        if self.new_drawer() is None:
            raise RunError(NOT_DRAWN_HERE)
        entry = _Entry(drawing)
        with self._changing:
            self._queue.append(entry)
        self.wake()
        return entry.id

    def queue(self) -> list[dict[str, Any]]:
        """Return the running and waiting tasks in order."""
        with self._changing:
            entries = [*([self._now] if self._now is not None else []), *self._queue]
        return [entry.facts() for entry in entries]

    def facts_of(self, drawing: Drawing) -> dict[str, Any] | None:
        """Return the state of one task; ``None`` once it has ended."""
        with self._changing:
            found = next((entry for entry in (self._now, *self._queue) if entry and entry.drawing is drawing), None)
        return found.facts() if found is not None else None

    def cancel(self, concerns: Callable[[Drawing, str], bool]) -> int:
        """Cancel every task for which ``concerns`` returns true, given the task and its id; returns their number."""
        with self._changing:
            queued = [entry for entry in self._queue if concerns(entry.drawing, entry.id)]
            for entry in queued:
                self._queue.remove(entry)
            now = self._now
            if now is not None and not now.cancelled and concerns(now.drawing, now.id):
                now.cancelled = True
                if now.drawer is not None:
                    now.drawer.stop()
                queued_too = 1
            else:
                queued_too = 0
        for entry in queued:
            self._end(entry.drawing, "", cancelled=True)
        return len(queued) + queued_too

    def wake(self) -> None:
        """Check for new work now."""
        self._wake.set()

    def close(self) -> None:
        """Cancel everything and end the thread."""
        self._closing.set()
        self.cancel(lambda drawing, entry_id: True)
        self.wake()

    @property
    def closing(self) -> bool:
        """Whether the thread is closing."""
        return self._closing.is_set()

    def run(self) -> None:
        """Run tasks until closed."""
        while not self._closing.is_set():
            self._wake.clear()
            try:
                rest = self._draw_next()
            except Exception:  # from the background source, e.g. a disk too full to save even the error
                logging.getLogger(__name__).exception("Images cannot be drawn; it is tried again")
                rest = _TRY_AGAIN_SECONDS
            if rest != 0:
                self._wake.wait(rest)

    def _draw_next(self) -> float | None:
        """Run one turn; returns the seconds to wait after it, ``None`` to wait for ``wake``."""
        rest: float | None = None
        self._backgrounds_turn = not self._backgrounds_turn
        if not self._backgrounds_turn and self._take_queued():
            return self._draw()
        for background in self._backgrounds:
            drawing, wait = background.next_drawing()
            if drawing is not None:
                with self._changing:
                    self._now = _Entry(drawing)
                return self._draw()
            rest = wait if rest is None else rest if wait is None else min(rest, wait)
        return self._draw() if self._take_queued() else rest

    def _take_queued(self) -> bool:
        with self._changing:
            self._now = self._queue.popleft() if self._queue else None
            return self._now is not None

    def _draw(self) -> float:
        entry, drawer = self._now, self.new_drawer()
        if entry is None:
            return 0.0
        problem, more = "" if drawer is not None else NOT_DRAWN_HERE, False
        with self._changing:
            entry.drawer, entry.last = drawer, time.monotonic()
        try:
            if drawer is not None and not entry.cancelled and not self._closing.is_set():
                more = entry.drawing.draw(drawer, entry.picture_drawn)
        except TrainLoraError as said:
            problem = str(said)
        except Exception as bug:  # ours or the webui's: shown where the images would be
            logging.getLogger(__name__).exception("%s could not be drawn", entry.drawing.title)
            problem = f"The webui could not generate it: {type(bug).__name__}: {bug}. Its console says more."
        with self._changing:
            entry.drawer = None
            if more and not problem and not entry.cancelled and not self._closing.is_set():
                self._now = None
                self._queue.append(entry)
                return 0.0
        self._end(entry.drawing, problem, cancelled=entry.cancelled or self._closing.is_set())
        with self._changing:
            self._now = None
        return 0.0

    @staticmethod
    def _end(drawing: Drawing, problem: str, *, cancelled: bool) -> None:
        try:
            drawing.end(problem, cancelled=cancelled)
        except Exception:
            logging.getLogger(__name__).exception("What became of %s could not be kept", drawing.title)
