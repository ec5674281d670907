"""The learning rate over a run, for plotting before it starts; without torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..config.groups.scheduler import SchedulerSettings
from ..config.job import Job
from ..config.optimizer_args import multiplies_rate, scales_by_size, sets_own_rate
from ..config.optimizer_facts import OPTIMIZERS

_TIMESCALE_WITHOUT_WARMUP = 10_000
_POINTS = 200


def rate_factor(settings: SchedulerSettings, step: int, total_steps: int) -> float:
    """The learning rate factor in ``step`` (from 0) of ``total_steps``.

    A linear warmup, then the curve that the schedule is named after: those of transformers' functions of the same
    names, of which ``get_scheduler`` drops the timescale of inverse_sqrt.
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


def schedule_points(settings: SchedulerSettings, total_steps: int,
                    points: int = _POINTS) -> Iterator[tuple[int, float]]:
    """At most ``points`` pairs of step and factor, including the first and last step, enough for a smooth line."""
    for step in _spread(total_steps, points):
        yield step, rate_factor(settings, step, total_steps)


def _spread(steps: int, points: int) -> Iterator[int]:
    """At most ``points`` of ``steps`` steps (from 0), including the first and the last."""
    count = min(points, steps)
    for index in range(count):
        yield round(index * (steps - 1) / max(1, count - 1))


def _half_cosine(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * progress))


def _stable_then_decay(settings: SchedulerSettings, step: int, total_steps: int) -> float:
    decay = settings.decay_steps(total_steps)
    begins = total_steps - decay
    if step < begins:
        return 1.0
    lowest = settings.lr_scheduler_min_lr_ratio
    return _half_cosine(min(1.0, (step - begins) / max(1, decay))) * (1 - lowest) + lowest


@dataclass(frozen=True)
class DrawnRates:
    """``points`` are (step, rate of the UNet, rate of the text encoder); ``None`` for a part that is not trained.

    ``text`` describes what the rates are multiplied with if that is known only during the run. No points if that holds
    for all rates.
    """

    points: tuple[tuple[int, float | None, float | None], ...]
    text: str = ""


class PhaseOfCurve(Protocol):
    """A training phase: its settings, its steps, and the curve of which it is a part."""

    @property
    def job(self) -> Job:
        """Its settings."""
    @property
    def first_step(self) -> int:
        """The steps before it."""
    @property
    def steps(self) -> int:
        """Its steps."""
    @property
    def curve_first(self) -> int:
        """The steps before its curve begins."""
    @property
    def curve_steps(self) -> int:
        """The steps of its curve."""


@dataclass(frozen=True)
class _Whole:
    """A run of a single phase."""

    job: Job
    steps: int
    first_step: int = 0
    curve_first: int = 0

    @property
    def curve_steps(self) -> int:
        return self.steps


def drawn_rates(job: Job, total_steps: int) -> DrawnRates:
    """The rates that ``job``, a single phase, will be trained with, as far as its settings determine them."""
    return drawn_rates_of([_Whole(job, total_steps)])


def drawn_rates_of(phases: Sequence[PhaseOfCurve]) -> DrawnRates:
    """The rates of each step of ``phases``, one after the other; see ``drawn_rates``."""
    optimizer = phases[0].job.optimizer
    if sets_own_rate(optimizer):
        return DrawnRates((), f"{optimizer.optimizer_type} sets the rate by itself, from the step and the size of the "
                              f"weights.")
    whole = sum(phase.steps for phase in phases)
    points = tuple(point for phase in phases
                   for point in _points_of(phase, max(2, round(_POINTS * phase.steps / max(1, whole)))))
    if multiplies_rate(optimizer):
        return DrawnRates(points, f"{optimizer.optimizer_type} multiplies this by the rate it finds.")
    by_size = scales_by_size(optimizer)
    return DrawnRates(points, "AdaFactor multiplies this by the size of a layer's weights." if by_size else "")


def _points_of(phase: PhaseOfCurve, count: int) -> Iterator[tuple[int, float | None, float | None]]:
    unet, text_encoder = trained_rates(phase.job)
    for inside in _spread(phase.steps, count):
        step = phase.first_step + inside
        factor = rate_factor(phase.job.scheduler, step - phase.curve_first, phase.curve_steps)
        yield step, unet and unet * factor, text_encoder and text_encoder * factor


def trained_rates(job: Job) -> tuple[float | None, float | None]:
    """The rates of UNet and first text encoder before the schedule; ``None`` for a part that is not trained.

    A part with rate 0 is not trained. Optimizers with one rate use the UNet's for both.
    """
    unet: float | None = job.optimizer.unet_rate or None
    text_encoder: float | None = job.optimizer.text_encoder_rate or None
    if job.network.network_train_text_encoder_only:
        unet = None
    if job.network.network_train_unet_only:
        text_encoder = None
    if OPTIMIZERS[job.optimizer.optimizer_type].one_rate and unet is not None and text_encoder is not None:
        text_encoder = unet
    return unet, text_encoder
