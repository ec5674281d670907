"""The duration of a training step."""

from __future__ import annotations

import statistics
import time
from collections import deque

_STEPS = 50
_DISTURBED = 3.0
"""A step that takes this multiple of the usual time was delayed by something else on the machine."""


class StepClock:
    """The mean duration of the last steps, without the work between steps."""

    def __init__(self) -> None:
        self._taken: deque[float] = deque(maxlen=_STEPS)
        self._began = time.monotonic()
        self._cold = False

    def start(self) -> None:
        """Start timing a step after other work."""
        self._began = time.monotonic()

    def resume(self) -> None:
        """Start timing a step after a hold; it is slower than others, so it is not counted if avoidable."""
        self.start()
        self._cold = True

    def tick(self) -> float:
        """End a step and start the next one; returns the seconds per step."""
        now = time.monotonic()
        if not (self._cold and self._taken):
            self._taken.append(now - self._began)
        self._began, self._cold = now, False
        usual = statistics.median(self._taken)
        return statistics.fmean(seconds for seconds in self._taken if seconds <= _DISTURBED * usual)
