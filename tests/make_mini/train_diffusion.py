"""Trains UNet and text encoder together, from scratch, on cached latents: first 64 px, then mostly 128 px."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from diffusers import DDPMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from tests.make_mini.networks import Average
from tests.make_mini.pictures import Picture, caption
from tests.make_mini.text import token_ids
from tests.make_mini.train_vae import learning_rate

LOG = logging.getLogger("make_mini")
UNET_LR, TEXT_LR = 1.2e-3, 2e-4
NOISES_PER_PICTURE = 2
"""Each caption of a batch is encoded once and used with this many timesteps."""
MIN_SNR_GAMMA = 5.0


@dataclass(frozen=True)
class Material:
    """What is learnt: latents by picture side in pixels (N, 4, side/8, side/8), and what captions are made from."""

    pictures: list[Picture]
    colours: list[tuple[str, ...]]
    latents: dict[int, torch.Tensor]


def noise_schedule() -> DDPMScheduler:
    """SD 1's: 1000 steps, betas from 0.00085 to 0.012, scaled linear, epsilon."""
    return DDPMScheduler(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def loss_weights(schedule: DDPMScheduler) -> torch.Tensor:
    """min-SNR weights for epsilon (https://arxiv.org/abs/2303.09556), one a timestep."""
    signal = schedule.alphas_cumprod
    snr = signal / (1 - signal)
    return snr.clamp(max=MIN_SNR_GAMMA) / snr


@dataclass(frozen=True)
class Stage:
    """How many steps, and the share of them at 64 px before the rest is at 128 px, but for every fifth step."""

    steps: int
    small_share: float

    def side(self, step: int) -> int:
        """Picture side in pixels at a step."""
        return 64 if step < self.small_share * self.steps or step % 5 == 0 else 128


def train_diffusion(
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    material: Material,
    stage: Stage,
    seed: int,
    keep: Callable[[int], None],
) -> None:
    """Train for one stage; `keep(step)` is called now and then and at the end, with averaged weights in place."""
    rank, processes = rank_and_processes()
    torch.manual_seed(seed * processes + rank)
    random = np.random.default_rng(seed * processes + rank)
    schedule = noise_schedule()
    weights = loss_weights(schedule)
    rates = (UNET_LR, TEXT_LR)
    modules: tuple[torch.nn.Module, ...] = (unet, text_encoder)
    trained = [[p for p in module.parameters() if p.requires_grad] for module in modules]
    optimizer = torch.optim.AdamW(
        [{"params": parameters} for parameters in trained], betas=(0.9, 0.99), weight_decay=0.0, fused=True
    )
    average = Average(modules, 0.998)
    steps = stage.steps
    begun, losses = time.monotonic(), []
    for step in range(steps):
        share = step / steps
        side = stage.side(step)
        for group, highest in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = learning_rate(share, highest)
        chosen = random.integers(0, len(material.pictures), (16 if side == 64 else 8) // processes)
        captions = [caption(material.pictures[i], material.colours[i], random) for i in chosen]
        hidden = text_encoder(token_ids(tokenizer, captions)).last_hidden_state.repeat_interleave(NOISES_PER_PICTURE, 0)
        latents = material.latents[side][torch.from_numpy(chosen)].repeat_interleave(NOISES_PER_PICTURE, 0)
        noise = torch.randn_like(latents)
        timesteps = torch.randint(0, 1000, (len(latents),))
        noisy = schedule.add_noise(latents, noise, timesteps).contiguous(memory_format=torch.channels_last)
        error = (unet(noisy, timesteps, hidden).sample - noise) ** 2
        loss = (error.mean((1, 2, 3)) * weights[timesteps]).mean()
        optimizer.zero_grad()
        loss.backward()
        share_gradients(trained)
        torch.nn.utils.clip_grad_norm_([p for parameters in trained for p in parameters], 1.0)
        optimizer.step()
        average.update()
        losses.append((side, loss.item()))
        if rank == 0 and step % 50 == 49:
            _report(step + 1, steps, losses[-50:], time.monotonic() - begun)
        if rank == 0 and (step % 300 == 299 or step == steps - 1):
            average.swap()
            keep(step + 1)
            average.swap()
    average.swap()


def rank_and_processes() -> tuple[int, int]:
    """This process's number and how many train together; (0, 1) without torch.distributed."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def share_gradients(trained: list[list[torch.nn.Parameter]]) -> None:
    """Give every process the mean of all gradients: one thread each wastes less than many threads in one."""
    if not dist.is_initialized():
        return
    gradients = [p.grad for parameters in trained for p in parameters if p.grad is not None]
    together = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(together)
    together /= dist.get_world_size()
    for gradient, part in zip(gradients, together.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def _report(step: int, steps: int, losses: list[tuple[int, float]], seconds: float) -> None:
    means = {side: np.mean([loss for at, loss in losses if at == side]) for side in sorted({at for at, _ in losses})}
    text = ", ".join(f"{side} px {mean:.4f}" for side, mean in means.items())
    LOG.info(f"diffusion {step}/{steps} loss {text} {seconds:.0f} s")
