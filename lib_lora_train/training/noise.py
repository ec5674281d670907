"""Noise, timesteps and noisy latents of one batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import DDPMScheduler
from torch import Tensor


@dataclass(frozen=True)
class NoisyBatch:
    """What the UNet is shown and what it should answer.

    ``noisy_latents`` and ``target`` are (B, 4, h, w) float32; ``timesteps`` is (B,) int64.
    """

    noisy_latents: Tensor
    target: Tensor
    timesteps: Tensor


def add_noise(latents: Tensor, schedule: DDPMScheduler, generator: torch.Generator) -> NoisyBatch:
    """Draw noise and a timestep for each latent and mix them (Ho et al. 2020, eq. 4).

    ``latents``: (B, 4, h, w) float32, scaled. The draw is made on the CPU, so every device trains on the same.
    """
    noise = torch.randn(latents.shape, generator=generator, dtype=torch.float32).to(latents.device)
    timesteps = torch.randint(0, int(schedule.config["num_train_timesteps"]), (latents.shape[0],),
                              generator=generator).to(latents.device)
    return mix_noise(latents, noise, timesteps, schedule)


def mix_noise(latents: Tensor, noise: Tensor, timesteps: Tensor, schedule: DDPMScheduler) -> NoisyBatch:
    """Noisy latents at ``timesteps``, and the target: the noise (epsilon) or the velocity (v prediction)."""
    noisy = schedule.add_noise(latents, noise, timesteps)
    if schedule.config["prediction_type"] == "v_prediction":
        target = schedule.get_velocity(latents, noise, timesteps)
    else:
        target = noise
    return NoisyBatch(noisy, target, timesteps)
