"""Draws pictures with the miniature, to look at it while it is being made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, UNet2DConditionModel
from numpy.typing import NDArray
from PIL import Image
from transformers import CLIPTextModel, CLIPTokenizer

from tests.make_mini.networks import LATENT_SCALE
from tests.make_mini.text import token_ids


@torch.no_grad()
def draw(
    unet: UNet2DConditionModel,
    vae: AutoencoderKL,
    text_encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    prompts: list[str],
    side: int,
    guidance: float = 6.0,
    steps: int = 20,
    seed: int = 1,
) -> NDArray[np.uint8]:
    """One picture a prompt with DPM++ 2M Karras: uint8 (N, side, side, 3)."""
    scheduler = DPMSolverMultistepScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", use_karras_sigmas=True
    )
    scheduler.set_timesteps(steps)
    hidden = text_encoder(token_ids(tokenizer, [""] * len(prompts) + prompts)).last_hidden_state
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn((len(prompts), 4, side // 8, side // 8), generator=generator) * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        both = scheduler.scale_model_input(torch.cat([latents, latents]), timestep)
        without, with_prompt = unet(both, timestep, hidden).sample.chunk(2)
        latents = scheduler.step(without + guidance * (with_prompt - without), timestep, latents).prev_sample
    return to_pixels(vae.decode(latents / LATENT_SCALE).sample)


def to_pixels(images: torch.Tensor) -> NDArray[np.uint8]:
    """(N, 3, H, W) in -1..1 to uint8 (N, H, W, 3)."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def save_grid(pictures: NDArray[np.uint8], columns: int, path: Path) -> None:
    """Write pictures, uint8 (N, H, W, 3), row by row into one PNG."""
    count, height, width, _ = pictures.shape
    rows = -(-count // columns)
    grid = np.full((rows * columns, height, width, 3), 255, np.uint8)
    grid[:count] = pictures
    grid = grid.reshape(rows, columns, height, width, 3).transpose(0, 2, 1, 3, 4)
    Image.fromarray(grid.reshape(rows * height, columns * width, 3)).save(path)
