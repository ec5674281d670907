"""Measures the drift of a run at its saves, within its part of the diagnosis' time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..batches.plan import TrainingPlan
from ..config.job import Job
from ..errors import TrainLoraError
from ..training.holding import off_the_gpu
from ..training.reporting.outputs import SavePoint
from ..training.reporting.report import Reporter
from ..training.setup import Prepared
from .budget import DRIFT_PART, Budget
from .drift import NEUTRAL_PROMPTS, DriftMeter

_AT_FIRST = 0.3
"""The part of the time that may be spent before the first step, when the predictions of the base are made."""


class DriftObserver:
    """Reports a ``drift`` event at each save that there is time for. A failure of its own is a warning."""

    def __init__(self, job: Job, reporter: Reporter, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives the seconds that the measuring is limited by."""
        self._job, self._reporter, self._clock = job, reporter, clock
        self._prepared: Prepared | None = None
        self._meter: DriftMeter | None = None
        self._budget = Budget(0.0, 1, lambda: 0.0, clock)
        self._each = self._spent = 0.0
        self._first_step = 0

    def captions(self, job: Job, plan: TrainingPlan) -> Sequence[str]:
        """The prompts without the trigger word."""
        return NEUTRAL_PROMPTS

    def begin(self, prepared: Prepared) -> None:
        """Make the predictions of the base."""
        self._prepared, self._first_step = prepared, prepared.progress.step
        self._budget = Budget(0.0, 1, lambda: self._reporter.still_seconds, self._clock)
        model, job = prepared.learner.model, prepared.job

        def make() -> None:
            self._meter = DriftMeter(model, job.dataset.size, job.training.seed, between=self._wait)

        self._timed(make)

    def at_save(self, point: SavePoint) -> None:
        """Measure the drift, if there is time."""
        meter, prepared = self._meter, self._prepared
        if meter is None or prepared is None or self._spent + self._each > self._allowed(point.step):
            return

        def measure() -> None:
            drift = meter.drift_of(prepared.learner.model)
            self._reporter.event("drift", {"step": point.step, "epoch": point.epoch, "drift": drift})

        self._timed(measure)

    def _timed(self, act: Callable[[], None]) -> None:
        self._budget.begin()
        try:
            act()
        except TrainLoraError:
            raise  # of the run itself, such as weights that the webui gave back changed
        except Exception as problem:  # noqa: BLE001 - whatever fails here must not end the training
            self._meter = None
            self._reporter.warning(f"The drift could not be measured, and is not in this run: {problem} The training "
                                   "is not affected.")
        self._each = self._budget.end()
        self._spent += self._each

    def _allowed(self, step: int) -> float:
        """The seconds that may be spent until ``step``."""
        assert self._prepared is not None
        total = self._prepared.timeline.total_steps
        whole = self._budget.expected_run_seconds(step - self._first_step, total - step, 0.0, 1)
        progress = step / total if total else 1.0
        return DRIFT_PART * self._job.diagnosis.diagnosis_share / 100 * whole * (_AT_FIRST + (1 - _AT_FIRST) * progress)

    def _wait(self) -> None:
        assert self._prepared is not None
        learner = self._prepared.learner
        self._prepared.boundary.wait(lambda: off_the_gpu(learner))
