"""The learning rate over a run, to be drawn before it starts; without torch."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..config.groups.scheduler import SchedulerSettings

_TIMESCALE_WITHOUT_WARMUP = 10_000


def rate_factor(settings: SchedulerSettings, step: int, total_steps: int) -> float:
    """What the learning rate is multiplied with in ``step`` (from 0) of ``total_steps``.

    A linear rise over the warmup, then the curve that the schedule is named after, as transformers has them.
    """
    warmup = settings.warmup_steps(total_steps)
    if step < warmup:
        return step / max(1, warmup)
    progress = min(1.0, (step - warmup) / max(1, total_steps - warmup))
    lowest = settings.lr_scheduler_min_lr_ratio
    if settings.lr_scheduler == "linear":
        return 1 - progress
    if settings.lr_scheduler == "cosine":
        return _half_cosine(progress)
    if settings.lr_scheduler == "cosine_with_restarts":
        return _half_cosine(settings.lr_scheduler_num_cycles * progress % 1.0) if progress < 1 else 0.0
    if settings.lr_scheduler == "polynomial":
        return (1 - progress) ** settings.lr_scheduler_power
    if settings.lr_scheduler == "inverse_sqrt":
        timescale = settings.lr_scheduler_timescale or warmup or _TIMESCALE_WITHOUT_WARMUP
        return 1 / math.sqrt((step - warmup + timescale) / timescale)
    if settings.lr_scheduler == "cosine_with_min_lr":
        return _half_cosine(progress) * (1 - lowest) + lowest
    if settings.lr_scheduler == "warmup_stable_decay":
        return _stable_then_decay(settings, step, total_steps)
    return 1.0


def schedule_points(settings: SchedulerSettings, total_steps: int, points: int = 200) -> Iterator[tuple[int, float]]:
    """At most ``points`` pairs of step and factor, first and last step among them, enough for a smooth line."""
    count = min(points, total_steps)
    for index in range(count):
        step = round(index * (total_steps - 1) / max(1, count - 1))
        yield step, rate_factor(settings, step, total_steps)


def _half_cosine(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * progress))


def _stable_then_decay(settings: SchedulerSettings, step: int, total_steps: int) -> float:
    decay = settings.decay_steps(total_steps)
    begins = total_steps - decay
    if step < begins:
        return 1.0
    lowest = settings.lr_scheduler_min_lr_ratio
    return _half_cosine(min(1.0, (step - begins) / max(1, decay))) * (1 - lowest) + lowest
