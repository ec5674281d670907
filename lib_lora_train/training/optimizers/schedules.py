"""Learning rate schedules; the same curves as in ``advice.schedule``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from ...advice.schedule import rate_factor
from ...config.groups.scheduler import SchedulerSettings


def make_schedule(optimizer: Optimizer, settings: SchedulerSettings, total_steps: int) -> LRScheduler:
    """The schedule over ``total_steps`` optimizer steps, from each group's own rate."""
    return LambdaLR(optimizer, partial(_factor, settings, total_steps))


def change_schedule(schedule: LRScheduler, rates: Sequence[float], settings: SchedulerSettings,
                    total_steps: int) -> None:
    """Let ``schedule`` go on as one over ``total_steps``, from ``rates``, one for each group of its optimizer."""
    assert isinstance(schedule, LambdaLR)
    schedule.base_lrs = list(rates)
    schedule.lr_lambdas = [partial(_factor, settings, total_steps) for _ in rates]
    for group, rate in zip(schedule.optimizer.param_groups, rates, strict=True):
        group["initial_lr"] = rate


def put_schedule(schedule: LRScheduler, optimizer: Optimizer, step: int) -> None:
    """Set ``schedule`` to ``step``, and the rates of ``optimizer`` accordingly."""
    assert isinstance(schedule, LambdaLR)
    schedule.last_epoch = step
    schedule._step_count = step + 1  # otherwise PyTorch warns that the optimizer was never stepped
    schedule._last_lr = [rate * factor(step)
                         for rate, factor in zip(schedule.base_lrs, schedule.lr_lambdas, strict=True)]
    for group, rate in zip(optimizer.param_groups, schedule._last_lr, strict=True):
        group["lr"] = rate


def _factor(settings: SchedulerSettings, total_steps: int, step: int) -> float:
    return rate_factor(settings, step, total_steps)
