"""How long the diagnosis may measure, so that it takes no more than its share of the run's time."""

from __future__ import annotations

import time
from collections.abc import Callable

DRIFT_PART = 0.2
IMAGES_PART = 1 - DRIFT_PART
"""The parts of the diagnosis' time that the drift, and single images and tags, may take."""
_FIRST = 0.4
"""The part for the point before training: nothing is learned by heart yet, so most can be seen there."""
_BACKWARD = 3.0
"""A training step takes at least as long as this many predictions for the same images."""


class Budget:
    """Shares the allowed seconds out over the points of a run. ``still`` is how long the run was held so far."""

    def __init__(self, share: float, points: int, still: Callable[[], float],
                 clock: Callable[[], float] = time.monotonic) -> None:
        """``share`` of the run's time, for ``points`` measurements: one before training and one at each save."""
        self._share, self._points, self._still, self._clock = share, max(1, points), still, clock
        self._began = self._now()
        self._spent, self._done, self._start = 0.0, 0, 0.0

    def expected_run_seconds(self, steps_done: int, steps_left: int, seconds_per_prediction: float,
                             images_per_step: int) -> float:
        """How long the run takes as a whole: from its pace, or, before the first step, from that of a prediction."""
        if steps_done:
            training = (self._now() - self._began - self._spent) * (steps_done + steps_left) / steps_done
        else:
            training = _BACKWARD * seconds_per_prediction * images_per_step * steps_left
        return training / max(0.1, 1 - self._share)

    def allowance(self, run_seconds: float) -> float:
        """The seconds for the measurement at this point, in a run of ``run_seconds``."""
        later = self._points - 1
        until_now = min(1.0, _FIRST + (1 - _FIRST) * self._done / later) if later else 1.0
        return max(0.0, self._share * run_seconds * until_now - self._spent)

    def begin(self) -> None:
        """A measurement begins."""
        self._start = self._now()

    def restart(self) -> None:
        """Begin anew: what was done since ``begin`` does not count."""
        self._start = self._now()

    def seconds(self) -> float:
        """How long this measurement has taken, without the time that the run was held."""
        return self._now() - self._start

    def end(self) -> float:
        """The measurement is over; returns its seconds."""
        seconds = self.seconds()
        self._spent += seconds
        self._done += 1
        return seconds

    def _now(self) -> float:
        return self._clock() - self._still()
