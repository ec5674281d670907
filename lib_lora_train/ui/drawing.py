"""The one thread that has the webui draw for the tab: plots, regularization pictures, and test strips.

What was asked for waits in one queue. Each drawing has its turn for one piece, a picture or a whole plot, so that a
long series keeps nothing else waiting; between two turns the background has one, which is how strips are drawn.
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
"""Where a drawing is: in the queue, being drawn, or at its turn while the webui draws something else."""


class Drawing(Protocol):
    """Something to be drawn, piece by piece.

    ``kind`` is plot, regularization or strip, ``title`` says what it is, ``run`` whose it is, empty for nobody's.
    """

    kind: str
    title: str
    run: str

    @property
    def done(self) -> int:
        """How many pictures there are."""
        ...

    @property
    def total(self) -> int:
        """How many there will be."""
        ...

    def draw(self, drawer: PlotDrawer, drawn: Callable[[], None]) -> bool:
        """Draw the next piece and call ``drawn`` after each picture; returns whether there is another piece.

        Whatever it raises ends the drawing.
        """
        ...

    def end(self, problem: str, *, cancelled: bool) -> None:
        """It is drawn no further: it is complete, or there is a ``problem``, a sentence, or it was ``cancelled``."""
        ...


class Background(Protocol):
    """What is drawn when there is time for it."""

    def next_drawing(self) -> tuple[Drawing | None, float | None]:
        """What to draw now; else how many seconds until the next question, ``None`` for until there is news."""
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
        """As the page shows it. Waits for the webui are in a few of the paces only, so the median has none."""
        drawing, drawer = self.drawing, self.drawer
        within = drawer.share_of_picture() if drawer is not None else None
        state = QUEUED if drawer is None else WAITING if within is None else DRAWING
        done, total = drawing.done, max(1, drawing.total)
        left = statistics.median(self.paces) * (total - done) if self.paces else None
        return {"id": self.id, "kind": drawing.kind, "title": drawing.title, "run": drawing.run, "state": state,
                "done": done, "total": total, "share": min(1.0, (done + (within or 0.0)) / total),
                "seconds_left": left}


class DrawingService(threading.Thread):
    """Draws what is submitted, in turns, and the background between them."""

    def __init__(self, new_drawer: Callable[[], PlotDrawer | None]) -> None:
        super().__init__(name="train-lora-drawing", daemon=True)
        self.new_drawer = new_drawer
        self._queue: deque[_Entry] = deque()
        self._now: _Entry | None = None
        self._background: Background | None = None
        self._backgrounds_turn = False
        self._changing = threading.RLock()
        self._wake, self._closing = threading.Event(), threading.Event()

    def draw_between(self, background: Background) -> None:
        """Ask ``background`` for something to draw whenever there is time."""
        self._background = background

    def submit(self, drawing: Drawing) -> str:
        """Draw ``drawing`` when its turn comes; its id in the queue. Raises ``RunError`` where nothing can be drawn."""
        if self.new_drawer() is None:
            raise RunError(NOT_DRAWN_HERE)
        entry = _Entry(drawing)
        with self._changing:
            self._queue.append(entry)
        self.wake()
        return entry.id

    def queue(self) -> list[dict[str, Any]]:
        """What is drawn and what waits, in the order of their turns."""
        with self._changing:
            entries = [*([self._now] if self._now is not None else []), *self._queue]
        return [entry.facts() for entry in entries]

    def facts_of(self, drawing: Drawing) -> dict[str, Any] | None:
        """The facts of one drawing; ``None`` once it has ended."""
        with self._changing:
            found = next((entry for entry in (self._now, *self._queue) if entry and entry.drawing is drawing), None)
        return found.facts() if found is not None else None

    def cancel(self, concerns: Callable[[Drawing, str], bool]) -> int:
        """Draw no further what ``concerns`` says of it and its id; how many that were."""
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
        """Look whether there is something to draw."""
        self._wake.set()

    def close(self) -> None:
        """Draw no more."""
        self._closing.set()
        self.cancel(lambda drawing, entry_id: True)
        self.wake()

    @property
    def closing(self) -> bool:
        """Whether the thread was told to end."""
        return self._closing.is_set()

    def run(self) -> None:
        """Draw whatever there is, until closed."""
        while not self._closing.is_set():
            self._wake.clear()
            try:
                rest = self._draw_next()
            except Exception:  # the background's own, such as a disk that is too full even for its reason
                logging.getLogger(__name__).exception("Images cannot be drawn; it is tried again")
                rest = _TRY_AGAIN_SECONDS
            if rest != 0:
                self._wake.wait(rest)

    def _draw_next(self) -> float | None:
        """One turn; how long to rest after it, ``None`` for until there is news."""
        rest: float | None = None
        self._backgrounds_turn = not self._backgrounds_turn
        if not self._backgrounds_turn and self._take_queued():
            return self._draw()
        if self._background is not None:
            drawing, rest = self._background.next_drawing()
            if drawing is not None:
                with self._changing:
                    self._now = _Entry(drawing)
                return self._draw()
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
        except Exception as bug:  # ours or the webui's: it is shown where the pictures would be
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
