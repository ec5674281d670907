"""The loss by noise level: how much of a step's loss is due to the timesteps that it drew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from ...config.groups.loss import LossSettings
from ...models.noise import TRAIN_TIMESTEPS
from ...models.prediction import VELOCITY

BAND_EDGES = (0, 333, 667, TRAIN_TIMESTEPS)
"""Timesteps at which the bands of low, middle and high noise begin, and the end of the last."""
_BANDS = len(BAND_EDGES) - 1


@dataclass(frozen=True)
class BandLoss:
    """The mean squared error of the ``images`` of a step in one band, unweighted; ``None`` without images."""

    loss: float | None
    images: int


def band_sums(errors: Tensor, timesteps: Tensor, counted: Tensor | None = None) -> Tensor:
    """The sum of ``errors`` and the number of images in each band: (2, 3), float32, on the device of ``errors``.

    ``errors`` and ``timesteps`` are (B,); images whose ``counted`` (B,) is ``False`` are left out.
    """
    inside = torch.stack([(timesteps >= first) & (timesteps < last) for first, last in _edges()])
    if counted is not None:
        inside = inside & counted
    return torch.stack([torch.where(inside, errors, 0.0).sum(dim=1), inside.float().sum(dim=1)])


def band_losses(sums: list[float], counts: list[float]) -> tuple[BandLoss, ...]:
    """The mean of each band from the two rows of ``band_sums``."""
    return tuple(BandLoss(total / count if count else None, round(count))
                 for total, count in zip(sums, counts, strict=True))


def reported(bands: tuple[BandLoss, ...]) -> list[list[float | int | None]]:
    """The ``bands`` of a step event: mean loss and number of images of each."""
    return [[None if band.loss is None else round(band.loss, 6), band.images] for band in bands]


def noise_facts(schedule: DDPMScheduler, settings: LossSettings, family: str) -> dict[str, Any]:
    """What the chart of the loss needs to know: the bands, the kind of model, and the loss of a blind guess.

    ``guess`` is, for each band, the mean loss of the best predictor that knows the noise level but nothing about
    images. With ᾱ from the schedule, noisy latents are √ᾱ·x + √(1-ᾱ)·ε; for independent x and ε of variance 1, the
    best linear estimate of ε leaves the variance ᾱ, and that of the velocity √ᾱ·ε - √(1-ᾱ)·x leaves 1, since it is
    uncorrelated with the noisy latents (Salimans and Ho 2022, appendix D). Any model that knows images is below.
    ``None`` for a band without timesteps between ``min_timestep`` and ``max_timestep``.
    """
    velocity = schedule.config["prediction_type"] == VELOCITY
    remaining = torch.ones(TRAIN_TIMESTEPS) if velocity else schedule.alphas_cumprod
    guess = []
    for first, last in _edges():
        allowed = remaining[max(first, settings.min_timestep):min(last, settings.max_timestep)]
        guess.append(round(float(allowed.mean()), 6) if len(allowed) else None)
    return {"family": family, "prediction": schedule.config["prediction_type"], "edges": list(BAND_EDGES),
            "zero_terminal_snr": bool(schedule.config["rescale_betas_zero_snr"]), "guess": guess}


def _edges() -> list[tuple[int, int]]:
    return [(BAND_EDGES[band], BAND_EDGES[band + 1]) for band in range(_BANDS)]
