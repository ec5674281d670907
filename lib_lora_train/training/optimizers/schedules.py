"""Learning rate schedules; the same curves as in ``advice.schedule``."""

from __future__ import annotations

from functools import partial

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from ...advice.schedule import rate_factor
from ...config.groups.scheduler import SchedulerSettings


def make_schedule(optimizer: Optimizer, settings: SchedulerSettings, total_steps: int) -> LRScheduler:
    """The schedule over ``total_steps`` optimizer steps, from each group's own rate."""
    return LambdaLR(optimizer, partial(_factor, settings, total_steps))


def _factor(settings: SchedulerSettings, total_steps: int, step: int) -> float:
    return rate_factor(settings, step, total_steps)
