"""Trains the mini tagger and measures it on the pictures that were held out."""

from __future__ import annotations

import copy
import logging
import math
import time

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from tests.make_mini_tagger.material import RATINGS, Picture, Tag
from tests.make_mini_tagger.network import SIDE, MiniTagger

LOG = logging.getLogger("make_mini_tagger")
BATCH = 64
HIGHEST_RATE = 4e-3
AVERAGE_DECAY = 0.995
SMALL_SIDE, SMALL_SHARE = 64, 0.55
"""Half of what is learned does not need every pixel."""

EASY_NEGATIVES = 2.0
"""Power by which wrong answers that are clearly wrong count less (asymmetric loss, Ridnik et al. 2021, gamma-)."""


def read_pixels(picture: Picture) -> np.ndarray:
    """uint8 (files, 96, 96, 4) RGBA; the pictures are square already."""
    return np.stack([np.asarray(Image.open(file).convert("RGBA").resize((SIDE, SIDE), Image.Resampling.BICUBIC))
                     for file in picture.files])


def targets(pictures: list[Picture], tags: list[Tag]) -> torch.Tensor:
    """(pictures, tags) of 0 and 1; every emoji is rated ``general``."""
    rows = [[float(tag.name in picture.tags or tag.name in (picture.character, RATINGS[0])) for tag in tags]
            for picture in pictures]
    return torch.tensor(rows)


def train(pictures: list[Picture], tags: list[Tag], epochs: int, seed: int) -> MiniTagger:
    """Train for ``epochs``, the first part of them on smaller pictures; the averaged weights are returned."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    pixels, wanted = [read_pixels(picture) for picture in pictures], targets(pictures, tags)
    model = MiniTagger(len(tags)).to(memory_format=torch.channels_last)
    average = copy.deepcopy(model).eval()
    optimizer = torch.optim.AdamW(model.parameters(), HIGHEST_RATE, weight_decay=0.05)
    for epoch in range(epochs):
        side = SMALL_SIDE if epoch < epochs * SMALL_SHARE else SIDE
        order = random.permutation(len(pictures))
        starts = range(0, len(order) - BATCH + 1, BATCH)
        losses = 0.0
        for start in starts:
            set_rate(optimizer, (epoch + start / len(order)) / epochs)
            chosen = order[start:start + BATCH]
            batch = augmented(np.stack([pixels[i][random.integers(len(pixels[i]))] for i in chosen]), side, random)
            with torch.autocast("cpu", torch.bfloat16):
                logits = model.logits(batch)
            loss = asymmetric_loss(logits.float(), wanted[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses += loss.item()
            follow(average, model)
        if epoch % 10 == 9:
            LOG.info("epoch %d at %d px, loss %.3f, %.0f s of one core", epoch + 1, side, losses / len(starts),
                     time.process_time())
    return average


def set_rate(optimizer: torch.optim.Optimizer, share: float) -> None:
    """A short rise, then a cosine down; ``share`` is the part of the training that is done."""
    for group in optimizer.param_groups:
        group["lr"] = HIGHEST_RATE * min(1.0, share / 0.05) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def augmented(rgba: np.ndarray, side: int, random: np.random.Generator) -> torch.Tensor:
    """(B, 3, side, side) BGR in -1..1: mirrored, moved, scaled, turned a little, mostly over white.

    ``rgba`` is uint8 (B, 96, 96, 4).
    """
    count = len(rgba)
    pixels = torch.from_numpy(rgba).permute(0, 3, 1, 2).float() / 255
    pixels = torch.cat([pixels[:, :3] * pixels[:, 3:], pixels[:, 3:]], dim=1)  # so that no edge colour is smeared
    size, turn = random.uniform(0.85, 1.35, count), random.normal(0, 0.12, count)
    mirror = np.where(random.random(count) < 0.5, -1.0, 1.0)
    cos, sin = size * np.cos(turn), size * np.sin(turn)
    move = random.uniform(-0.15, 0.15, (2, count))
    grid = np.stack([np.stack([cos * mirror, -sin, move[0]], 1), np.stack([sin * mirror, cos, move[1]], 1)], 1)
    field = functional.affine_grid(torch.from_numpy(grid).float(), [count, 4, side, side], align_corners=False)
    pixels = functional.grid_sample(pixels, field, align_corners=False)
    white = random.random((count, 1)) < 0.6
    behind = torch.from_numpy(np.where(white, 1.0, random.random((count, 3))).astype(np.float32))
    over = pixels[:, :3] + (1 - pixels[:, 3:]) * behind[:, :, None, None]
    light = torch.from_numpy(random.uniform(0.85, 1.15, (count, 3, 1, 1)).astype(np.float32))
    return (over * light).clamp(0, 1).flip(1).mul(2).sub(1).contiguous(memory_format=torch.channels_last)


def asymmetric_loss(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean over pictures of the summed loss; (B, tags) each."""
    right = functional.logsigmoid(logits) * wanted
    wrong = functional.logsigmoid(-logits) * (1 - wanted) * torch.sigmoid(logits).detach() ** EASY_NEGATIVES
    return -(right + wrong).sum(1).mean()


def follow(average: MiniTagger, model: MiniTagger) -> None:
    """Move the averaged weights a step towards the trained ones; counters are copied."""
    with torch.no_grad():
        for kept, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, 1 - AVERAGE_DECAY)
            else:
                kept.copy_(new)


def probabilities(model: MiniTagger, pictures: list[Picture]) -> np.ndarray:
    """(pictures, tags) for the plain picture of each emoji over white."""
    rgba = np.stack([read_pixels(picture)[0] for picture in pictures]).astype(np.float32)
    opacity = rgba[..., 3:] / 255
    over_white = np.round(rgba[..., :3] * opacity + 255 * (1 - opacity))
    with torch.no_grad():
        return model(torch.from_numpy(over_white[..., ::-1].copy())).numpy()


def calibrate(model: MiniTagger, pictures: list[Picture], wanted: np.ndarray, own: np.ndarray) -> None:
    """Shift the confidences of the tags ``own`` so that the best micro-F1 on ``pictures`` lies at 0.35, as with WD14.

    The asymmetric loss makes a model too sure of everything. ``wanted`` is boolean (pictures, tags), ``own`` (tags,).
    """
    found = probabilities(model, pictures)[:, own]
    best = max(np.arange(0.2, 0.9, 0.01), key=lambda threshold: micro_f1(found > threshold, wanted[:, own]))
    shift = math.log(best / (1 - best)) - math.log(0.35 / 0.65)
    with torch.no_grad():
        model.head.bias[torch.from_numpy(own)] -= shift
    LOG.info("best on the training pictures at %.2f; the bias is lowered by %.3f", best, shift)


def micro_f1(found: np.ndarray, wanted: np.ndarray) -> float:
    """F1 over all (picture, tag) pairs; boolean (pictures, tags) each."""
    right = (found & wanted).sum()
    return float(2 * right / max(1, found.sum() + wanted.sum()))
