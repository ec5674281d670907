"""The loss of one batch."""

from __future__ import annotations

import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import compute_snr
from torch import Tensor

from ..config.groups.loss import LossSettings


def batch_loss(prediction: Tensor, target: Tensor, timesteps: Tensor, schedule: DDPMScheduler,
               settings: LossSettings) -> Tensor:
    """Mean squared error of each picture, weighted by its timestep, averaged over the batch: a scalar, float32.

    ``prediction`` and ``target``: (B, 4, h, w). ``timesteps``: (B,).
    """
    errors = torch.nn.functional.mse_loss(prediction.float(), target.float(), reduction="none")
    per_picture = errors.mean(dim=(1, 2, 3))
    if settings.min_snr_gamma is not None:
        per_picture = per_picture * min_snr_weight(timesteps, schedule, settings.min_snr_gamma)
    return per_picture.mean()


def min_snr_weight(timesteps: Tensor, schedule: DDPMScheduler, gamma: float) -> Tensor:
    """Min-SNR weight (Hang et al. 2023, eq. 8): min(SNR, γ)/SNR, for v prediction min(SNR, γ)/(SNR + 1); (B,)."""
    snr = compute_snr(schedule, timesteps)
    clamped = snr.clamp(max=gamma)
    if schedule.config["prediction_type"] == "v_prediction":
        return clamped / (snr + 1)
    return clamped / snr
