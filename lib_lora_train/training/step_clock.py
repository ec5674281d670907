"""How long a training step takes."""

from __future__ import annotations

import statistics
import time
from collections import deque

_STEPS = 50
_DISTURBED = 3.0
"""A step that took so many times the usual was held up by something else on the machine."""


class StepClock:
    """The mean of the last steps. What comes between steps is not part of it."""

    def __init__(self) -> None:
        self._taken: deque[float] = deque(maxlen=_STEPS)
        self._began = time.monotonic()
        self._cold = False

    def start(self) -> None:
        """A step begins now, after other work."""
        self._began = time.monotonic()

    def resume(self) -> None:
        """A step begins now, after the run stood still; it is slower than others, so it is not counted if avoidable."""
        self.start()
        self._cold = True

    def tick(self) -> float:
        """A step is done, and the next one begins; returns the seconds that a step takes."""
        now = time.monotonic()
        if not (self._cold and self._taken):
            self._taken.append(now - self._began)
        self._began, self._cold = now, False
        usual = statistics.median(self._taken)
        return statistics.fmean(seconds for seconds in self._taken if seconds <= _DISTURBED * usual)
