"""Narrow random SD 2.x and SDXL checkpoints, tensor by tensor in the original layout, and their YAML."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.models.tiny_checkpoint import TEXT, UNET, VAE, make_tiny

State = dict[str, Tensor]
WIDTH = 128
"""Channels of every text encoder here, two heads of 64."""
LAYERS = 3
POOLED = 64
SIZE_WIDTH = 32
"""Values that stand for each of the six numbers of the size conditioning."""
CLIP_L, OPEN_CLIP_XL = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."
OPEN_CLIP_SD2 = "cond_stage_model.model."


@dataclass(frozen=True)
class Shape:
    """How a UNet is built: channels of each level, and transformer blocks behind each residual block, 0 for none."""

    channels: Sequence[int]
    down: Sequence[Sequence[int]]
    middle: int
    up: Sequence[Sequence[int]]
    context: int
    sizes: int = 0


SD2_SHAPE = Shape((64, 128, 128, 128), ((1, 1), (1, 1), (1, 1), (0, 0)), 1,
                  ((0, 0, 0), (1, 1, 1), (1, 1, 1), (1, 1, 1)), WIDTH)
SDXL_SHAPE = Shape((64, 128, 192), ((0, 0), (1, 1), (2, 2)), 2, ((2, 2, 2), (1, 1, 1), (0, 0, 0)), 2 * WIDTH,
                   POOLED + 6 * SIZE_WIDTH)
SSD_SHAPE = Shape((64, 128, 192), ((0, 0), (2, 2), (3, 3)), 0, ((3, 3, 4), (2, 1, 1), (0, 0, 0)), 2 * WIDTH,
                  POOLED + 6 * SIZE_WIDTH)

NARROW_XL = replace(SDXL_SHAPE, channels=(32, 64, 128))
"""For what computes no image but something of each tensor."""


class _Maker:
    """Adds layers with random weights of about unit gain, so that every tensor matters and nothing overflows."""

    def __init__(self, seed: int) -> None:
        self.state: State = {}
        self._generator = torch.Generator().manual_seed(seed)

    def random(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator)

    def layer(self, name: str, *shape: int, bias: bool = True) -> None:
        self.state[f"{name}.weight"] = self.random(*shape) / math.sqrt(math.prod(shape[1:]))
        if bias:
            self.state[f"{name}.bias"] = self.random(shape[0]) * 0.1

    def norm(self, name: str, width: int) -> None:
        self.state[f"{name}.weight"] = 1 + self.random(width) * 0.1
        self.state[f"{name}.bias"] = self.random(width) * 0.1

    def residual(self, at: str, before: int, after: int, time: int) -> None:
        self.norm(f"{at}.in_layers.0", before)
        self.layer(f"{at}.in_layers.2", after, before, 3, 3)
        self.layer(f"{at}.emb_layers.1", after, time)
        self.norm(f"{at}.out_layers.0", after)
        self.layer(f"{at}.out_layers.3", after, after, 3, 3)
        if before != after:
            self.layer(f"{at}.skip_connection", after, before, 1, 1)

    def transformer(self, at: str, width: int, context: int, depth: int) -> None:
        self.norm(f"{at}.norm", width)
        self.layer(f"{at}.proj_in", width, width)
        for number in range(depth):
            inner = f"{at}.transformer_blocks.{number}"
            for name, source in (("attn1", width), ("attn2", context)):
                self.layer(f"{inner}.{name}.to_q", width, width, bias=False)
                self.layer(f"{inner}.{name}.to_k", width, source, bias=False)
                self.layer(f"{inner}.{name}.to_v", width, source, bias=False)
                self.layer(f"{inner}.{name}.to_out.0", width, width)
            self.layer(f"{inner}.ff.net.0.proj", 8 * width, width)
            self.layer(f"{inner}.ff.net.2", width, 4 * width)
            for norm in ("norm1", "norm2", "norm3"):
                self.norm(f"{inner}.{norm}", width)
        self.layer(f"{at}.proj_out", width, width)


def unet_state(shape: Shape, seed: int) -> State:
    """A UNet of that shape under the names of the original."""
    maker, first = _Maker(seed), shape.channels[0]
    time = 4 * first
    maker.layer("time_embed.0", time, first)
    maker.layer("time_embed.2", time, time)
    if shape.sizes:
        maker.layer("label_emb.0.0", time, shape.sizes)
        maker.layer("label_emb.0.2", time, time)
    maker.layer("input_blocks.0.0", first, 4, 3, 3)
    number, width, kept = 1, first, [first]
    for level, (channels, row) in enumerate(zip(shape.channels, shape.down, strict=True)):
        for depth in row:
            maker.residual(f"input_blocks.{number}.0", width, channels, time)
            if depth:
                maker.transformer(f"input_blocks.{number}.1", channels, shape.context, depth)
            number, width = number + 1, channels
            kept.append(width)
        if level + 1 < len(shape.channels):
            maker.layer(f"input_blocks.{number}.0.op", width, width, 3, 3)
            number += 1
            kept.append(width)
    maker.residual("middle_block.0", width, width, time)
    if shape.middle:
        maker.transformer("middle_block.1", width, shape.context, shape.middle)
        maker.residual("middle_block.2", width, width, time)
    number = 0
    for level, (channels, row) in enumerate(zip(reversed(shape.channels), shape.up, strict=True)):
        for place, depth in enumerate(row):
            maker.residual(f"output_blocks.{number}.0", width + kept.pop(), channels, time)
            width = channels
            if depth:
                maker.transformer(f"output_blocks.{number}.1", channels, shape.context, depth)
            if place + 1 == len(row) and level + 1 < len(shape.channels):
                maker.layer(f"output_blocks.{number}.{2 if depth else 1}.conv", width, width, 3, 3)
            number += 1
    maker.norm("out.0", first)
    maker.layer("out.2", 4, first, 3, 3)
    return maker.state


def open_clip_state(seed: int, width: int = WIDTH, layers: int = LAYERS, pooled: int = POOLED) -> State:
    """OpenCLIP's text tower under its own names."""
    maker = _Maker(seed)
    maker.state["token_embedding.weight"] = maker.random(49408, width) * 0.1
    maker.state["positional_embedding"] = maker.random(77, width) * 0.1
    for number in range(layers):
        at = f"transformer.resblocks.{number}"
        maker.norm(f"{at}.ln_1", width)
        maker.norm(f"{at}.ln_2", width)
        maker.state[f"{at}.attn.in_proj_weight"] = maker.random(3 * width, width) / math.sqrt(width)
        maker.state[f"{at}.attn.in_proj_bias"] = maker.random(3 * width) * 0.1
        maker.layer(f"{at}.attn.out_proj", width, width)
        maker.layer(f"{at}.mlp.c_fc", 4 * width, width)
        maker.layer(f"{at}.mlp.c_proj", width, 4 * width)
    maker.norm("ln_final", width)
    maker.state["text_projection"] = maker.random(width, pooled) / math.sqrt(width)
    maker.state["logit_scale"] = torch.tensor(4.6)
    return maker.state


def _with_prefix(prefix: str, state: Mapping[str, Tensor]) -> State:
    return {prefix + key: tensor for key, tensor in state.items()}


def sd2_state(seed: int = 0) -> State:
    """A whole SD 2.x checkpoint."""
    vae = {key: tensor for key, tensor in make_tiny(seed).state.items() if key.startswith(VAE)}
    return (_with_prefix(UNET, unet_state(SD2_SHAPE, seed)) | vae
            | _with_prefix(OPEN_CLIP_SD2, open_clip_state(seed + 1)))


def sdxl_state(seed: int = 0, shape: Shape = SDXL_SHAPE) -> State:
    """A whole SDXL checkpoint, or one of SSD-1B with its shape."""
    sd1 = make_tiny(seed).state
    vae = {key: tensor for key, tensor in sd1.items() if key.startswith(VAE)}
    clip = {key.replace(TEXT, CLIP_L): tensor for key, tensor in sd1.items() if key.startswith(TEXT)}
    return (_with_prefix(UNET, unet_state(shape, seed)) | vae | clip
            | _with_prefix(OPEN_CLIP_XL, open_clip_state(seed + 1)))


def save_state(state: Mapping[str, Tensor], path: Path) -> Path:
    """Write a checkpoint."""
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, path)
    return path
