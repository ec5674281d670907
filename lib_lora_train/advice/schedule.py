"""The learning rate over a run, to be drawn before it starts; without torch."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..config.groups.scheduler import SchedulerSettings


def rate_factor(settings: SchedulerSettings, step: int, total_steps: int) -> float:
    """What the learning rate is multiplied with in ``step`` (from 0) of ``total_steps``.

    As diffusers' ``get_scheduler`` has it: a linear rise over the warmup, then constant, or half a cosine to zero.
    """
    warmup = settings.lr_warmup_steps
    warmup_steps = round(warmup * total_steps) if warmup < 1 else round(warmup)
    if step < warmup_steps:
        return step / max(1, warmup_steps)
    if settings.lr_scheduler == "constant":
        return 1.0
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return max(0.0, 0.5 * (1 + math.cos(math.pi * progress)))


def schedule_points(settings: SchedulerSettings, total_steps: int, points: int = 200) -> Iterator[tuple[int, float]]:
    """At most ``points`` pairs of step and factor, first and last step among them, enough for a smooth line."""
    count = min(points, total_steps)
    for index in range(count):
        step = round(index * (total_steps - 1) / max(1, count - 1))
        yield step, rate_factor(settings, step, total_steps)
