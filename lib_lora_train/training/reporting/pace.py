"""How long the steps of a training phase take, and those of later phases with other sizes."""

from __future__ import annotations

from collections.abc import Collection
from statistics import fmean, linear_regression

from ...batches.plan import TrainingPlan
from ...batches.timeline import Timeline, TrainingPhase

_APART = 1.2
"""Batches of phases whose pixels differ by less than this ratio do not tell what a batch costs besides its pixels."""


class Pace:
    """Predicts the steps of later phases from the steps of those before.

    A batch is assumed to cost ``fixed + each * pixels``. Until two sizes have been seen, it is proportional to pixels.
    """

    def __init__(self) -> None:
        self._seen: dict[int, tuple[float, float]] = {}
        """By phase: pixels and seconds of a batch."""

    def take(self, phase: TrainingPhase, seconds: float) -> None:
        """The steps of ``phase`` take ``seconds`` each."""
        plan = phase.plan
        self._seen[phase.number] = pixels_per_batch(plan), seconds * plan.steps_per_epoch / plan.batches_per_epoch

    def seconds_left(self, timeline: Timeline, phase: TrainingPhase, done: int) -> float:
        """The seconds that the steps after ``done`` take, in ``phase``, which has been taken, and in later ones."""
        later = (other for other in timeline.phases if other.number > phase.number)
        return self._seconds_per_step(phase, known=True) * (phase.end_step - done) + sum(
            self._seconds_per_step(other) * other.steps for other in later)

    def _seconds_per_step(self, phase: TrainingPhase, *, known: bool = False) -> float:
        plan = phase.plan
        batch = self._seen[phase.number][1] if known else seconds_per_batch(self._seen.values(), pixels_per_batch(plan))
        return batch * plan.batches_per_epoch / plan.steps_per_epoch


def pixels_per_batch(plan: TrainingPlan) -> float:
    """The mean number of pixels of a batch, from the buckets of the images and their repeats."""
    pixels = sum(bucket.width * bucket.height * sum(plan.pictures[index].repeats for index in indices)
                 for bucket, indices in plan.by_bucket.items())
    return pixels / plan.batches_per_epoch


def seconds_per_batch(seen: Collection[tuple[float, float]], pixels: float) -> float:
    """Predict the seconds of a batch of ``pixels`` from pairs of pixels and seconds, the latest pair last.

    Two sizes or more give a least-squares line. A step never takes less with more pixels, nor less than nothing.
    """
    sizes = [size for size, _ in seen]
    if max(sizes) < _APART * min(sizes):
        size, taken = list(seen)[-1]
        return taken * pixels / size
    each, fixed = linear_regression(*zip(*seen, strict=True))
    if each < 0:
        return fmean(taken for _, taken in seen)
    if fixed < 0 and pixels < min(sizes):  # the line would reach zero
        size, taken = min(seen)
        return taken * pixels / size
    return fixed + each * pixels
