"""Gives the text encoder a start, as CLIP has one: captions learn to say what their pictures look like."""

from __future__ import annotations

import logging

import numpy as np
import torch
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from tests.make_mini.pictures import caption
from tests.make_mini.text import token_ids
from tests.make_mini.train_diffusion import Material
from tests.make_mini.train_vae import learning_rate

LOG = logging.getLogger("make_mini")
CAPTIONS_PER_STEP, PLACES_PER_CAPTION = 32, 4
HIGHEST_RATE = 1e-3


def places_after(ids: torch.Tensor, end_token: int) -> torch.Tensor:
    """For each caption some random places (N, PLACES_PER_CAPTION) of its end token or the padding after it."""
    first = (ids == end_token).int().argmax(1, keepdim=True)
    share = torch.rand(len(ids), PLACES_PER_CAPTION)
    return first + (share * (ids.shape[1] - first)).long()


def train_text(
    text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer, material: Material, steps: int, seed: int
) -> None:
    """Train in place: from the states after a caption, linear heads name the picture and guess its 64 px latent.

    Most of the 77 states that the UNet attends to are such, so they should say something from its first step on.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    goal = material.latents[64].flatten(1)
    width = text_encoder.config.hidden_size
    heads = torch.nn.ModuleList([torch.nn.Linear(width, len(goal)), torch.nn.Linear(width, goal.shape[1])])
    trained = [p for module in (text_encoder, heads) for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step / steps, HIGHEST_RATE)
        chosen = random.integers(0, len(material.pictures), CAPTIONS_PER_STEP)
        captions = [caption(material.pictures[i], material.colours[i], random) for i in chosen]
        named = torch.tensor([bool(text) for text in captions])
        ids = token_ids(tokenizer, captions)
        places = places_after(ids, tokenizer.eos_token_id)[..., None].expand(-1, -1, width)
        states = text_encoder(ids).last_hidden_state.gather(1, places)[named].flatten(0, 1)
        wanted = torch.from_numpy(chosen)[named].repeat_interleave(PLACES_PER_CAPTION)
        which = functional.cross_entropy(heads[0](states), wanted)
        content = functional.mse_loss(heads[1](states), goal[wanted])
        optimizer.zero_grad()
        (which + content).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        if step % 50 == 49:
            LOG.info(f"text {step + 1}/{steps} which picture {which.item():.3f}, its latent {content.item():.3f}")
