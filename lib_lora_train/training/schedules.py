"""Learning rate schedules."""

from __future__ import annotations

from diffusers.optimization import get_scheduler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ..config.groups.scheduler import SchedulerSettings


def warmup_steps(settings: SchedulerSettings, total_steps: int) -> int:
    """``lr_warmup_steps`` in steps; below 1 it is a share of the run."""
    given = settings.lr_warmup_steps
    return round(given * total_steps) if given < 1 else round(given)


def make_schedule(optimizer: Optimizer, settings: SchedulerSettings, total_steps: int) -> LRScheduler:
    """The schedule over ``total_steps`` optimizer steps; ``constant`` with warmup rises first."""
    warmup = warmup_steps(settings, total_steps)
    name = settings.lr_scheduler
    if name == "constant" and warmup:
        name = "constant_with_warmup"
    return get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=total_steps)
