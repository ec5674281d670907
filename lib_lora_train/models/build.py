"""Builds the networks of a base model from the shapes in its checkpoint, without weights (on the meta device)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection
from transformers.modeling_utils import no_init_weights

from .family import BEGIN_TOKEN, END_TOKEN, Family, TextEncoderKind

State = Mapping[str, Tensor]
TextEncoder: TypeAlias = CLIPTextModel | CLIPTextModelWithProjection

_SIZES = "label_emb.0.0.weight"
_SIZE_NUMBERS = 6  # original height and width, top and left crop, target height and width
_UNET_HEAD_WIDTH = 64  # channels per head where the family does not fix the number of heads


class ShapeProblem(ValueError):
    """The tensors of a network do not fit together; the message names them."""


def build_unet(state: State, family: Family, pooled_width: int = 0) -> UNet2DConditionModel:
    """The UNet with the tensors ``state``, in the original layout and without prefix.

    Channels, layers, transformer depths and cross-attention width are derived from the shapes; the rest (heads, norm
    groups) comes from the family and the original layout. ``pooled_width`` is that of the text encoders' pooled
    output, if the UNet uses it. Raises ``ShapeProblem`` if a tensor that defines the architecture is missing.
    """
    levels = _unet_levels(state)
    layers = len(levels[0])
    depths = _transformer_depths(state, levels)
    if not any(map(any, depths.down)):
        raise ShapeProblem("its UNet has no attention blocks")
    deepest = next(level[0] for level, row in zip(levels, depths.down, strict=True) if row[0])
    first = f"input_blocks.{deepest}.1"
    channels = [_shape(state, f"input_blocks.{level[0]}.0.out_layers.3.weight")[0] for level in levels]
    with torch.device("meta"), no_init_weights():
        return UNet2DConditionModel(
            sample_size=64,
            in_channels=_shape(state, "input_blocks.0.0.weight")[1],
            out_channels=_shape(state, "out.2.weight")[0],
            down_block_types=tuple("CrossAttnDownBlock2D" if row[0] else "DownBlock2D" for row in depths.down),
            mid_block_type="UNetMidBlock2DCrossAttn" if depths.middle else "UNetMidBlock2D",
            up_block_types=tuple("CrossAttnUpBlock2D" if row[0] else "UpBlock2D" for row in depths.up),
            block_out_channels=tuple(channels),
            layers_per_block=layers,
            cross_attention_dim=_shape(state, f"{first}.transformer_blocks.0.attn2.to_k.weight")[1],
            # diffusers' old name for the number of heads
            attention_head_dim=[family.unet_heads or max(1, width // _UNET_HEAD_WIDTH) for width in channels],
            use_linear_projection=len(_shape(state, f"{first}.proj_in.weight")) == 2,
            norm_num_groups=32,
            **_depth_arguments(depths),
            **_size_arguments(state, pooled_width),
        )


def build_vae(state: State, family: Family) -> AutoencoderKL:
    """The autoencoder with the tensors ``state``, in the original layout and without prefix.

    Raises ``ShapeProblem`` if a tensor that defines the architecture is missing.
    """
    levels = _count(state, "encoder.down.")
    if not levels:
        raise ShapeProblem("its VAE has no encoder")
    channels = tuple(_shape(state, f"encoder.down.{level}.block.0.conv2.weight")[0] for level in range(levels))
    with torch.device("meta"), no_init_weights():
        return AutoencoderKL(
            in_channels=_shape(state, "encoder.conv_in.weight")[1],
            out_channels=_shape(state, "decoder.conv_out.weight")[0],
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=channels,
            layers_per_block=_count(state, "encoder.down.0.block."),
            latent_channels=_shape(state, "post_quant_conv.weight")[1],
            norm_num_groups=32,
            sample_size=512,
            scaling_factor=family.latent_scale,
        )


def build_text_encoder(state: State, kind: TextEncoderKind) -> TextEncoder:
    """CLIP's text encoder for ``state``, in transformers' names (``text_model.…``), with its projection if it has one.

    Raises ``ShapeProblem`` if a tensor that defines the architecture is missing.
    """
    vocabulary, width = _shape(state, "text_model.embeddings.token_embedding.weight")
    layers = _count(state, "text_model.encoder.layers.")
    if not layers:
        raise ShapeProblem("its text encoder has no layers")
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=_shape(state, "text_model.encoder.layers.0.mlp.fc1.weight")[0],
        projection_dim=_shape(state, "text_projection.weight")[0] if kind.pooled else width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // kind.head_width),
        max_position_embeddings=_shape(state, "text_model.embeddings.position_embedding.weight")[0],
        hidden_act="gelu" if kind.open_clip else "quick_gelu",
        bos_token_id=BEGIN_TOKEN,
        eos_token_id=END_TOKEN,
        pad_token_id=END_TOKEN,
        attn_implementation="sdpa",
    )
    with torch.device("meta"), no_init_weights():
        return CLIPTextModelWithProjection(config) if kind.pooled else CLIPTextModel(config)


@dataclass(frozen=True)
class _Depths:
    """Number of transformer blocks after each residual block of each level, 0 for none."""

    down: list[list[int]]
    middle: int
    up: list[list[int]]


def _transformer_depths(state: State, levels: list[list[int]]) -> _Depths:
    def depth(block: str) -> int:
        return _count(state, f"{block}.1.transformer_blocks.")

    layers = len(levels[0]) + 1
    down = [[depth(f"input_blocks.{number}") for number in level] for level in levels]
    up = [[depth(f"output_blocks.{level * layers + number}") for number in range(layers)]
          for level in range(len(levels))]
    for row in (*down, *up):
        if 0 in row and any(row):
            raise ShapeProblem("a level of its UNet has attention behind some of its blocks only")
    return _Depths(down, depth("middle_block"), up)


def _depth_arguments(depths: _Depths) -> dict[str, Any]:
    """The depths in diffusers' format: one per level, or, if they differ within levels, one per block (SSD-1B)."""
    rows = [*depths.down, *depths.up]
    same_back = [row[0] for row in reversed(depths.up)] == [row[0] for row in depths.down]
    if same_back and all(len(set(row)) == 1 for row in rows):
        each = [row[0] or 1 for row in depths.down]
        if depths.middle:
            each[-1] = depths.middle
        return {"transformer_layers_per_block": each}
    return {"transformer_layers_per_block": [row if row[0] else 1 for row in depths.down],
            "reverse_transformer_layers_per_block": [row if row[0] else 1 for row in depths.up]}


def _size_arguments(state: State, pooled_width: int) -> dict[str, Any]:
    """The UNet's size conditioning in addition to the pooled text (Podell et al. 2023, section 2.2)."""
    if _SIZES not in state:
        return {}
    width = _shape(state, _SIZES)[1]
    rest = width - pooled_width
    if rest <= 0 or rest % (2 * _SIZE_NUMBERS):
        raise ShapeProblem(f"its UNet takes {width} values beside the image, which does not fit the {pooled_width} "
                           "of its text encoder")
    return {"addition_embed_type": "text_time", "addition_time_embed_dim": rest // _SIZE_NUMBERS,
            "projection_class_embeddings_input_dim": width}


def _unet_levels(state: State) -> list[list[int]]:
    """Indexes of the input blocks of each level; a downsampling block ends a level."""
    levels: list[list[int]] = [[]]
    for number in range(1, _count(state, "input_blocks.")):
        if f"input_blocks.{number}.0.op.weight" in state:
            levels.append([])
        else:
            levels[-1].append(number)
    if not all(levels) or len({len(level) for level in levels}) != 1:
        raise ShapeProblem("the levels of its UNet have different numbers of layers, or blocks are missing")
    return levels


def _count(state: State, prefix: str) -> int:
    """One more than the highest index that follows ``prefix`` in the keys; 0 if there is none."""
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    numbers = [int(match.group(1)) for match in map(pattern.match, state) if match]
    return max(numbers, default=-1) + 1


def _shape(state: State, key: str) -> tuple[int, ...]:
    if key not in state:
        raise ShapeProblem(f"{key} is missing")
    return tuple(state[key].shape)
