"""Learning rate schedules, as transformers has them; ``advice.schedule`` draws the same curves without torch."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from transformers import get_scheduler

from ...config.groups.scheduler import SchedulerSettings


def make_schedule(optimizer: Optimizer, settings: SchedulerSettings, total_steps: int) -> LRScheduler:
    """The schedule over ``total_steps`` optimizer steps; ``constant`` with a warmup rises first."""
    warmup = settings.warmup_steps(total_steps)
    name = settings.lr_scheduler
    if name == "constant" and warmup:
        name = "constant_with_warmup"
    return get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=total_steps,
                         scheduler_specific_kwargs=_own_arguments(name, settings, total_steps))


def _own_arguments(name: str, settings: SchedulerSettings, total_steps: int) -> dict[str, Any]:
    decay = settings.decay_steps(total_steps)
    own: dict[str, dict[str, Any]] = {
        "cosine_with_restarts": {"num_cycles": settings.lr_scheduler_num_cycles},
        "polynomial": {"power": settings.lr_scheduler_power, "lr_end": 0.0},
        "inverse_sqrt": {"timescale": settings.lr_scheduler_timescale},
        "cosine_with_min_lr": {"min_lr_rate": settings.lr_scheduler_min_lr_ratio},
        "warmup_stable_decay": {
            "num_stable_steps": total_steps - settings.warmup_steps(total_steps) - decay,
            "num_decay_steps": decay, "min_lr_ratio": settings.lr_scheduler_min_lr_ratio},
    }
    return own.get(name, {})
