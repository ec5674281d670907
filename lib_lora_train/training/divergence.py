"""Detects diverging training, and suggests remedies."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from ..config.job import Job
from ..config.optimizer_facts import OPTIMIZERS
from ..errors import DivergedError
from .loss import weighted_mean
from .reporting.noise_bands import BandLoss, band_losses, band_sums

WINDOW_STEPS = 10
_GLANCE_STEPS = 3
_EXPLODED, _SUSPICIOUS = 5.0, 3.0
_LEAP, _GRADIENTS = 100.0, 50
_WORSE_THAN_NOTHING = 1.0
"""The relative error of predicting zero: noise and velocity have a mean of zero."""


@dataclass(frozen=True)
class StepResult:
    """The figures of a step: its mean loss, and the gradient norm before clipping.

    ``relative_error`` is the mean squared error of the predictions over that of predicting zero, unweighted; ``bands``
    is that error by noise level.
    """

    loss: float
    gradient_norm: float
    relative_error: float
    bands: tuple[BandLoss, ...] = ()


class StepFigures:
    """Collects a step's figures on the device, so that the host synchronizes only once per step, when it reads them."""

    def __init__(self, batches: int, device: torch.device) -> None:
        """``batches`` is the number of batches that the step's loss is averaged over."""
        self._batches = batches
        self._loss, self._error, self._power = torch.zeros(3, device=device)
        self._bands = torch.zeros(2, 3, device=device)

    def take(self, loss: Tensor, prediction: Tensor, target: Tensor, timesteps: Tensor,
             mask: Tensor | None = None) -> None:
        """Add a batch: its ``loss``, a scalar, ``prediction`` and ``target``, (B, 4, h, w), and ``timesteps``, (B,).

        Errors count where ``mask`` (B, 1, h, w) does: outside of it any prediction is fine.
        """
        error, power = (prediction.detach().float() - target).square(), target.square()
        if mask is None:
            self._bands = self._bands + band_sums(error.mean(dim=(1, 2, 3)), timesteps)
        else:
            self._bands = self._bands + band_sums(weighted_mean(error, mask), timesteps,
                                                  mask.amax(dim=(1, 2, 3)) > 0)
            error, power = error * mask, power * mask
        self._loss = self._loss + loss.detach() / self._batches
        self._error = self._error + error.mean()
        self._power = self._power + power.mean()

    def read(self, gradient_norm: Tensor) -> StepResult:
        """Wait for the device and read the figures."""
        power = self._power.clamp(min=torch.finfo(self._power.dtype).tiny)  # 0 if every mask of the step is black
        figures = torch.stack([self._loss, gradient_norm.to(self._loss), self._error / power])
        loss, norm, relative, *bands = torch.cat([figures, self._bands.flatten()]).tolist()
        return StepResult(loss, norm, relative, band_losses(bands[:3], bands[3:]))


class LossWatch:
    """Watches the mean loss of the last ``WINDOW_STEPS`` steps, since single steps are noisy.

    The loss has exploded if it is five times its best value and the prediction is further from the target than zero
    would be. A model that learns, however badly, never meets both conditions.
    """

    def __init__(self) -> None:
        self._losses: deque[float] = deque(maxlen=WINDOW_STEPS)
        self._errors: deque[float] = deque(maxlen=WINDOW_STEPS)
        self._gradients: deque[float] = deque(maxlen=_GRADIENTS)
        self._best = math.inf
        self._calm_steps = WINDOW_STEPS
        self._step = 0

    def take(self, step: int, result: StepResult) -> None:
        """Add a completed step. Raises ``DivergedError`` if the loss has exploded."""
        self._step = step
        self._losses.append(result.loss)
        self._errors.append(result.relative_error)
        if len(self._losses) >= _GLANCE_STEPS:
            self._best = min(self._best, _mean(self._losses))
        self._take_gradient(result.gradient_norm)
        if self._has_grown(_EXPLODED, WINDOW_STEPS):
            raise DivergedError(f"The loss has exploded: it is {_mean(self._losses):.3g} over the last "
                                f"{len(self._losses)} steps, and was {self._best:.3g} at its best. The run was "
                                f"stopped at step {step}.")

    def _take_gradient(self, norm: float) -> None:
        usual = statistics.median(self._gradients) if self._gradients else 0.0
        self._calm_steps += 1
        if math.isfinite(norm):  # with fp16 some steps are skipped, and show nothing
            if 0 < _LEAP * usual < norm:
                self._calm_steps = 0
            self._gradients.append(norm)

    @property
    def suspicious(self) -> bool:
        """Whether the loss has begun to rise, or a gradient was far too large: do not save a state to resume from."""
        return self._has_grown(_SUSPICIOUS, _GLANCE_STEPS) or self._calm_steps < WINDOW_STEPS

    @property
    def last_good_step(self) -> int:
        """The last step after which the weights were good, if the run ends now.

        The loss of a step reflects the weights after the previous step.
        """
        bad = [number for number, (loss, error) in enumerate(zip(self._losses, self._errors, strict=True))
               if loss > _SUSPICIOUS * self._best and error > _WORSE_THAN_NOTHING]
        return self._step - 1 if not bad else self._step - (len(self._losses) - bad[0]) - 1

    def _has_grown(self, times: float, steps: int) -> bool:
        """Whether the mean loss of the last ``steps`` is ``times`` the best, and worse than predicting zero."""
        losses, errors = list(self._losses)[-steps:], list(self._errors)[-steps:]
        return bool(losses) and _mean(losses) > times * self._best and _mean(errors) > _WORSE_THAN_NOTHING


def _mean(values: Collection[float]) -> float:
    return sum(values) / len(values)


def check_numbers(step: int, result: StepResult, *, scaled: bool) -> None:
    """Raise ``DivergedError`` if a step must not be applied.

    With ``scaled`` gradients (fp16) infinite ones are normal: the scaler skips such a step by itself.
    """
    if not math.isfinite(result.loss):
        raise DivergedError(f"The loss became {result.loss} in step {step}, which was skipped.")
    if not scaled and not math.isfinite(result.gradient_norm):
        raise DivergedError(f"The gradients became {result.gradient_norm} in step {step}, which was skipped.")


def what_to_try(job: Job, precision: str, training_state_step: int | None) -> str:
    """What was saved, and remedies for these settings, in sentences.

    ``precision`` is that of the computation (no, fp16, bf16), ``training_state_step`` that of the last good state.
    """
    kept = ("Every file saved before is fine, but there is no training state to resume from yet."
            if training_state_step is None else
            f"The last good state, of step {training_state_step}, is kept, and every file saved before is fine.")
    rate = max(job.optimizer.unet_rate, job.optimizer.text_encoder_rate)
    begin = "Start again" if training_state_step is None else "Resume from there"
    ways = [f"{begin} at a lower rate: half of {rate:g} is {rate / 2:g}"]
    if not job.optimizer.max_grad_norm:
        ways.append("set max_grad_norm to 1, which tames single steps")
    if precision == "fp16":
        ways.append("train in bf16, or without mixed precision, which cannot overflow as fp16 does")
    usual = OPTIMIZERS[job.optimizer.optimizer_type].usual_d_coef
    if usual is not None:
        ways.append(f"give {job.optimizer.optimizer_type} a lower d_coef ({usual:g} is usual here), so that it finds a "
                    "lower rate")
    if not job.network.scale_weight_norms:
        ways.append("set scale_weight_norms to 1, which keeps layers from burning")
    return f"{kept} {ways[0]}." + (f" Or, in a new run: {'; '.join(ways[1:])}." if len(ways) > 1 else "")
