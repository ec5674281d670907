"""Settings of the learning rate schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..setting import setting

LR_SCHEDULERS = ("constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial",
                 "inverse_sqrt", "cosine_with_min_lr", "warmup_stable_decay")


@dataclass(frozen=True)
class SchedulerSettings:
    """Learning rate schedule."""

    lr_scheduler: str = setting(
        "constant", "How the learning rate changes over the run.",
        label="LR scheduler", choices=LR_SCHEDULERS, view="main",
        advice="constant for adaptive optimizers such as Prodigy; cosine, which fades out gently, for the others. "
               "constant overtrains with a fixed rate unless that is very low.")
    lr_warmup_steps: float = setting(
        0.0, "Steps during which the learning rate rises from zero. Below 1 it is a share of the run.",
        label="LR warmup steps", minimum=0.0, maximum=1000000.0,
        advice="0.1 with constant_with_warmup; add an epoch or two for it.")
    lr_scheduler_num_cycles: int = setting(
        1, "How often cosine_with_restarts starts over at the full rate.",
        label="LR cycles", minimum=1, maximum=1000)
    lr_scheduler_power: float = setting(
        1.0, "How strongly the polynomial curve is bent inwards; 1 is a straight line.",
        label="LR power", minimum=0.01, maximum=20.0)
    lr_scheduler_min_lr_ratio: float = setting(
        0.0, "Where cosine_with_min_lr and warmup_stable_decay end, as a share of the full rate.",
        label="Min LR ratio", minimum=0.0, maximum=1.0)
    lr_scheduler_timescale: Optional[int] = setting(
        None, "How slowly inverse_sqrt falls, in steps. Empty: the warmup's length, or 10000 without a warmup.",
        label="LR timescale", minimum=1, maximum=10000000)
    lr_decay_steps: float = setting(
        0.2, "Steps at the end during which warmup_stable_decay falls. Below 1 it is a share of the run.",
        label="LR decay steps", minimum=0.0, maximum=1000000.0)

    @property
    def has_warmup(self) -> bool:
        """Whether the schedule starts with a warmup."""
        return self.lr_warmup_steps > 0

    def warmup_steps(self, total_steps: int) -> int:
        """``lr_warmup_steps`` in steps of a run of ``total_steps``."""
        return _steps(self.lr_warmup_steps, total_steps)

    def decay_steps(self, total_steps: int) -> int:
        """``lr_decay_steps`` in steps, limited so that the decay does not overlap the warmup."""
        return max(0, min(_steps(self.lr_decay_steps, total_steps), total_steps - self.warmup_steps(total_steps)))


def _steps(given: float, total_steps: int) -> int:
    return round(given * total_steps) if given < 1 else round(given)
