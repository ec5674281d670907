"""Noise, timesteps and noisy latents of one batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import DDPMScheduler
from torch import Tensor
from torch.nn import functional

from ..config.groups.loss import LossSettings


@dataclass(frozen=True)
class NoisyBatch:
    """The UNet's input and target.

    ``noisy_latents`` and ``target`` are (B, 4, h, w) float32; ``timesteps`` is (B,) int64.
    """

    noisy_latents: Tensor
    target: Tensor
    timesteps: Tensor


def add_noise(latents: Tensor, schedule: DDPMScheduler, settings: LossSettings,
              generator: torch.Generator, device: torch.device | str = "cpu") -> NoisyBatch:
    """Sample noise and a timestep for each latent and mix them (Ho et al. 2020, eq. 4).

    ``latents``: (B, 4, h, w) float32, scaled, on the CPU. Sampling is done on the CPU too, so that every device trains
    on the same noise; mixing is done on ``device``.
    """
    noise = draw_noise(latents, settings, generator).to(device, non_blocking=True)
    timesteps = torch.randint(settings.min_timestep, settings.max_timestep, (latents.shape[0],),
                              generator=generator).to(device, non_blocking=True)
    shape, latents = latents.shape, latents.to(device, non_blocking=True)
    batch = mix_noise(latents, noise, timesteps, schedule)
    if not settings.ip_noise_gamma:
        return batch
    perturbed = noise + settings.ip_noise_gamma * _normal(shape, generator).to(device, non_blocking=True)
    return NoisyBatch(schedule.add_noise(latents, perturbed, timesteps), batch.target, timesteps)


def mix_noise(latents: Tensor, noise: Tensor, timesteps: Tensor, schedule: DDPMScheduler) -> NoisyBatch:
    """Noisy latents at ``timesteps``, and the target: the noise (epsilon) or the velocity (v prediction)."""
    noisy = schedule.add_noise(latents, noise, timesteps)
    if schedule.config["prediction_type"] == "v_prediction":
        target = schedule.get_velocity(latents, noise, timesteps)
    else:
        target = noise
    return NoisyBatch(noisy, target, timesteps)


def draw_noise(latents: Tensor, settings: LossSettings, generator: torch.Generator) -> Tensor:
    """Normal noise, plus a per-channel offset or coarser noise if ``settings`` ask for it; (B, 4, h, w).

    Offset noise (Guttenberg 2023): noise + o·N(B, C, 1, 1), where o grows by ``adaptive_noise_scale`` times the
    absolute mean of the latent's channel, and is never negative.
    """
    noise = _normal(latents.shape, generator)
    if settings.multires_noise_iterations:
        noise = _add_coarser_noise(noise, settings, generator)
    if settings.noise_offset:
        offset: Tensor | float = settings.noise_offset
        if settings.adaptive_noise_scale:
            brightness = latents.mean(dim=(2, 3), keepdim=True).abs()
            offset = (settings.noise_offset + settings.adaptive_noise_scale * brightness).clamp(min=0)
        noise = noise + offset * _normal((*latents.shape[:2], 1, 1), generator)
    return noise


def _add_coarser_noise(noise: Tensor, settings: LossSettings, generator: torch.Generator) -> Tensor:
    """Multi-resolution noise (Whitaker 2023): adds noise at 1/rⁱ of the size, times discountⁱ; r is in [2, 4]."""
    batch, channels, height, width = noise.shape
    for number in range(settings.multires_noise_iterations):
        ratio = (2 + 2 * float(torch.rand((), generator=generator))) ** number
        small = (max(1, int(height / ratio)), max(1, int(width / ratio)))
        coarse = _normal((batch, channels, *small), generator)
        coarse = functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)
        noise = noise + coarse * settings.multires_noise_discount ** number
        if 1 in small:
            break
    return noise / noise.std()


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float32)
