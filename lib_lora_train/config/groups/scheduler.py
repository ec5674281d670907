"""How the learning rate changes during the run."""

from __future__ import annotations

from dataclasses import dataclass

from ..setting import setting

LR_SCHEDULERS = ("constant", "cosine")


@dataclass(frozen=True)
class SchedulerSettings:
    """Learning rate schedule."""

    lr_scheduler: str = setting(
        "constant", "How the learning rate changes over the run.", choices=LR_SCHEDULERS, view="main",
        label="Learning rate schedule",
        advice="constant for Prodigy; cosine, which fades out gently, for AdamW.")
    lr_warmup_steps: float = setting(
        0.0, "Steps in which the rate rises from zero; below 1 it is a share of the run.", minimum=0.0,
        maximum=1000000.0, label="Warmup steps")
