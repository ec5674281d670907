"""Trains the autoencoder on whole pictures at 64 and 128 px, then scales its latents to unit variance."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch.nn import functional

from tests.make_mini.networks import LATENT_SCALE, Average
from tests.make_mini.pictures import on_background

LOG = logging.getLogger("make_mini")


def random_batch(rgba: NDArray[np.uint8], count: int, side: int, random: np.random.Generator) -> torch.Tensor:
    """(count, 3, side, side) in -1..1: pictures over white or a light colour, half of them mirrored.

    `rgba` is uint8 (N, 128, 128, 4), premultiplied.
    """
    chosen = rgba[random.integers(0, len(rgba), count)].astype(np.float32) / 255
    step = rgba.shape[1] // side
    if step > 1:
        chosen = chosen.reshape(count, side, step, side, step, 4).mean((2, 4))
    colour = np.where(random.random((count, 1)) < 0.7, 1.0, random.uniform(0.6, 1.0, (count, 3))).astype(np.float32)
    images = torch.from_numpy(on_background(chosen, colour)).permute(0, 3, 1, 2) * 2 - 1
    mirrored = torch.from_numpy(random.random(count) < 0.5)
    return torch.where(mirrored[:, None, None, None], images.flip(3), images).contiguous(
        memory_format=torch.channels_last
    )


def picture_loss(made: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean absolute error, of the pixels and of their differences to the neighbours at three scales."""
    loss = functional.l1_loss(made, wanted)
    error = made - wanted
    for _ in range(3):
        across = (error[..., 1:] - error[..., :-1]).abs().mean()
        down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
        loss = loss + 0.5 * (across + down)
        error = functional.avg_pool2d(error, 2)
    return loss + error.abs().mean()


def learning_rate(share: float, highest: float) -> float:
    """Short warm-up, then a cosine down to 2 % of the highest; `share` is the part of the time gone."""
    return highest * min(1.0, share / 0.02) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * min(share, 1.0))))


@dataclass(frozen=True)
class Stage:
    """One stage of training: how many batches, how fast, how much colour guidance, how often 128 px."""

    steps: int
    highest_rate: float
    guidance: float
    kl_weight: float
    large_from: float
    """Share of the stage after which every third batch is of 128 px."""
    swap_colours: bool = False
    """Whether red, green and blue change places at random, so that no colour is rarer than another."""


STAGES = (
    Stage(steps=1400, highest_rate=2e-3, guidance=0.0, kl_weight=3e-4, large_from=2 / 3),
    Stage(steps=900, highest_rate=1e-3, guidance=2.0, kl_weight=1e-4, large_from=0.2),
    Stage(steps=700, highest_rate=1.5e-3, guidance=6.0, kl_weight=1e-4, large_from=0.75, swap_colours=True),
)
"""Shapes first, then colours: without guidance the narrow encoder keeps to brightness, where the errors are largest."""


def train_vae(vae: AutoencoderKL, stage: Stage, rgba: NDArray[np.uint8], seed: int) -> None:
    """Train an autoencoder, in place, for one stage."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=1e-4, fused=True)
    average = Average([vae], 0.995)
    begun, shown = time.monotonic(), []
    for step in range(stage.steps):
        share = step / stage.steps
        large = share > stage.large_from and step % 3 == 0
        images = random_batch(rgba, 4 if large else 12, 128 if large else 64, random)
        if stage.swap_colours:
            images = images[:, torch.from_numpy(random.permutation(3))]
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(share, stage.highest_rate)
        posterior = vae.encode(images).latent_dist
        made = vae.decode(posterior.sample()).sample
        pixels = picture_loss(made, images)
        colours = colour_loss(posterior.mean, made, images, guidance=max(0.0, 1 - share / 0.7))
        kl = 0.5 * (posterior.mean**2 + posterior.var - 1 - posterior.logvar).mean()
        optimizer.zero_grad()
        (pixels + stage.guidance * colours + stage.kl_weight * kl).backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        average.update()
        shown.append((pixels.item(), colours.item(), kl.item()))
        if step % 50 == 49:
            text = "loss {:.4f} colours {:.4f} kl {:.2f}".format(*np.mean(shown[-50:], 0))
            LOG.info(f"vae {step + 1}/{stage.steps} {text} {time.monotonic() - begun:.0f} s")
    average.swap()


def colour_loss(latents: torch.Tensor, made: torch.Tensor, wanted: torch.Tensor, guidance: float) -> torch.Tensor:
    """Squared error of pixels, and with `guidance` of the first three latents as mean colour of their 8x8 pixels."""
    small = functional.avg_pool2d(wanted, 8)
    error = functional.mse_loss(made, wanted) + functional.mse_loss(functional.avg_pool2d(made, 8), small)
    return error + guidance * functional.mse_loss(latents[:, :3], small)


def train_decoder(vae: AutoencoderKL, steps: int, rgba: NDArray[np.uint8], seed: int) -> None:
    """Train the decoder alone, in place, with most weight on hues; what the UNet learns from stays as it is."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    halves: tuple[torch.nn.Module, ...] = (vae.decoder, vae.post_quant_conv)
    parameters = [p for half in halves for p in half.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), weight_decay=1e-4, fused=True)
    average = Average(halves, 0.995)
    begun, shown = time.monotonic(), []
    for step in range(steps):
        large = step % 2 == 1
        images = random_batch(rgba, 4 if large else 12, 128 if large else 64, random)
        if random.random() < 0.25:
            images = images[:, torch.from_numpy(random.permutation(3))]
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step / steps, 2e-3)
        with torch.no_grad():
            latents = vae.encode(images).latent_dist.sample()
        made = vae.decode(latents).sample
        hues = hue_loss(made, images)
        pixels = picture_loss(made, images)
        optimizer.zero_grad()
        (pixels + 6 * hues).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        average.update()
        shown.append((pixels.item(), hues.item()))
        if step % 50 == 49:
            text = "loss {:.4f} hues {:.4f}".format(*np.mean(shown[-50:], 0))
            LOG.info(f"decoder {step + 1}/{steps} {text} {time.monotonic() - begun:.0f} s")
    average.swap()


def hue_loss(made: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Squared error of red, green and blue and of their differences to each other, which brightness does not hide."""
    error = made - wanted
    return (error**2).mean() + ((error - error.roll(1, 1)) ** 2).mean()


@torch.no_grad()
def normalize_latents(vae: AutoencoderKL, images: torch.Tensor) -> None:
    """Fold shift and scale into the 1x1 convolutions, so that latent * 0.18215 has mean 0 and variance 1 a channel."""
    means = torch.cat([vae.encode(part).latent_dist.mean for part in images.split(16)])
    shift = means.mean((0, 2, 3))
    factor = 1 / (means.std((0, 2, 3)) * LATENT_SCALE)
    before, after = vae.quant_conv, vae.post_quant_conv
    after.bias.add_((after.weight[:, :, 0, 0] * shift).sum(1))
    after.weight.div_(factor[None, :, None, None])
    before.bias[:4].sub_(shift).mul_(factor)
    before.weight[:4].mul_(factor[:, None, None, None])
    before.bias[4:].add_(2 * factor.log())


@torch.no_grad()
def encode_pictures(vae: AutoencoderKL, rgba: NDArray[np.uint8], side: int) -> torch.Tensor:
    """Scaled latents (N, 4, side/8, side/8) of the pictures over white; uint8 (N, 128, 128, 4), premultiplied, in."""
    latents = []
    step = rgba.shape[1] // side
    for start in range(0, len(rgba), 16):
        part = rgba[start : start + 16].astype(np.float32) / 255
        part = part.reshape(len(part), side, step, side, step, 4).mean((2, 4))
        images = torch.from_numpy(on_background(part, np.ones(3, np.float32))).permute(0, 3, 1, 2) * 2 - 1
        latents.append(vae.encode(images).latent_dist.mean * LATENT_SCALE)
    return torch.cat(latents)
