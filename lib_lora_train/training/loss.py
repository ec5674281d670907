"""The loss of one batch."""

from __future__ import annotations

import math

import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import compute_snr
from torch import Tensor

from ..config.groups.loss import LossSettings

_SNR_CEILING = 1000.0
"""Limits the debiased weight at the least noisy timesteps."""

_LEAST_WEIGHT = 1e-6
"""Less than the smallest mask, one pixel of the image at 1/255, which is 6e-5 of a latent's pixel."""


def batch_loss(prediction: Tensor, target: Tensor, timesteps: Tensor, schedule: DDPMScheduler, settings: LossSettings,
               *, mask: Tensor | None = None, base_prediction: Tensor | None = None,
               picture_weights: Tensor | None = None) -> Tensor:
    """The error of each image, weighted by its timestep, averaged over the batch: a scalar, float32.

    ``prediction`` and ``target``: (B, 4, h, w). ``timesteps``: (B,). ``picture_weights``: (B,), those of the images and
    of the regularization set. ``mask``: (B, 1, h, w), 0 to 1, ones for an image without a mask. With a mask m, an
    image's error is a mean over its mask, so that a small subject counts as much as a large one:

        Σ w·e / Σ w + λ · Σ (1 - m)·e' / Σ (1 - m),  w = max(m, ``unmasked_weight``),

    summed over the latent's pixels, where e is the error averaged over channels. e' is the same error against
    ``base_prediction``, the prediction of the base model alone, and λ is ``masked_prior_preservation_weight``; without
    ``base_prediction`` the second term is 0. A term whose sum of weights is 0 is 0, and so is the first one of a mask
    that is 0 everywhere: nothing is learned from such an image.
    """
    per_picture = picture_losses(prediction, target, timesteps, schedule, settings, mask=mask,
                                 base_prediction=base_prediction)
    if picture_weights is not None:
        per_picture = per_picture * picture_weights
    return per_picture.mean()


def picture_losses(prediction: Tensor, target: Tensor, timesteps: Tensor, schedule: DDPMScheduler,
                   settings: LossSettings, *, mask: Tensor | None = None,
                   base_prediction: Tensor | None = None) -> Tensor:
    """The losses that ``batch_loss`` averages, before the images' own weights; (B,), float32."""
    errors = _error_per_picture(prediction.float(), target.float(), timesteps, schedule, settings, mask,
                                base_prediction)
    return errors * timestep_weight(timesteps, schedule, settings)


def _error_per_picture(prediction: Tensor, target: Tensor, timesteps: Tensor, schedule: DDPMScheduler,
                       settings: LossSettings, mask: Tensor | None, base_prediction: Tensor | None) -> Tensor:
    errors = elementwise_loss(prediction, target, timesteps, schedule, settings)
    if mask is None:
        return errors.mean(dim=(1, 2, 3))
    found = weighted_mean(errors, mask_weights(mask, settings.unmasked_weight))
    if base_prediction is None:
        return found
    kept = elementwise_loss(prediction, base_prediction.float(), timesteps, schedule, settings)
    return found + settings.masked_prior_preservation_weight * weighted_mean(kept, 1 - mask)


def mask_weights(mask: Tensor, unmasked_weight: float) -> Tensor:
    """``mask`` (B, 1, h, w), at least ``unmasked_weight`` everywhere; zeros for an image whose mask is all 0."""
    return mask.clamp(min=unmasked_weight) * (mask.amax(dim=(1, 2, 3), keepdim=True) > 0)


def weighted_mean(errors: Tensor, weights: Tensor) -> Tensor:
    """The mean of each image's ``errors`` (B, 4, h, w), weighted with ``weights`` (B, 1, h, w); (B,), 0 without any."""
    total = weights.sum(dim=(1, 2, 3))
    return (errors.mean(dim=1, keepdim=True) * weights).sum(dim=(1, 2, 3)) / total.clamp(min=_LEAST_WEIGHT)


def elementwise_loss(prediction: Tensor, target: Tensor, timesteps: Tensor, schedule: DDPMScheduler,
                     settings: LossSettings) -> Tensor:
    """|d|² (l2), |d| (l1), 2c(√(d² + c²) - c) (huber) or 2(√(d² + c²) - c) (smooth_l1) of the difference d.

    The last two are pseudo-Huber with a c that follows the timestep (Khrapov et al. 2024, arXiv:2403.16728).
    """
    difference = prediction - target
    if settings.loss_type == "l2":
        return difference ** 2
    if settings.loss_type == "l1":
        return difference.abs()
    c = huber_threshold(timesteps, schedule, settings).view(-1, 1, 1, 1)
    error = 2 * (torch.sqrt(difference ** 2 + c ** 2) - c)
    return error * c if settings.loss_type == "huber" else error


def huber_threshold(timesteps: Tensor, schedule: DDPMScheduler, settings: LossSettings) -> Tensor:
    """c of pseudo-Huber at each timestep; (B,). From 1 at the cleanest timestep to ``huber_c`` at the noisiest."""
    lowest = settings.huber_c
    if settings.huber_schedule == "constant":
        c = torch.full_like(timesteps, lowest, dtype=torch.float32)
    elif settings.huber_schedule == "exponential":
        c = torch.exp(math.log(lowest) * timesteps / int(schedule.config["num_train_timesteps"]))
    else:
        sigma = compute_snr(schedule, timesteps).rsqrt()
        c = (1 - lowest) / (1 + sigma) ** 2 + lowest
    return c * settings.huber_scale


def timestep_weight(timesteps: Tensor, schedule: DDPMScheduler, settings: LossSettings) -> Tensor:
    """The weight of each timestep; (B,), or ones.

    Min-SNR (Hang et al. 2023, eq. 8): min(SNR, γ)/SNR, for v prediction min(SNR, γ)/(SNR + 1).
    Debiased estimation (Yu et al. 2023): 1/√min(SNR, 1000), for v prediction 1/(SNR + 1).
    On top of either, for v prediction only: SNR/(SNR + 1) with SNR at most 1000
    (``scale_v_pred_loss_like_noise_pred`` of sd-scripts).
    """
    velocity = schedule.config["prediction_type"] == "v_prediction"
    like_noise = velocity and settings.scale_v_pred_loss_like_noise_pred
    weight = torch.ones_like(timesteps, dtype=torch.float32)
    if settings.min_snr_gamma is None and not settings.debiased_estimation_loss and not like_noise:
        return weight
    snr = compute_snr(schedule, timesteps)
    if settings.debiased_estimation_loss:
        weight = 1 / (snr + 1) if velocity else snr.clamp(max=_SNR_CEILING).rsqrt()
    elif settings.min_snr_gamma is not None:
        weight = snr.clamp(max=settings.min_snr_gamma) / (snr + 1 if velocity else snr)
    if like_noise:
        capped = snr.clamp(max=_SNR_CEILING)
        weight = weight * capped / (capped + 1)
    return weight
