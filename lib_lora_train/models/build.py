"""Building the networks of a base model from the shapes in its checkpoint, without weights (on the meta device)."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from .family import Family

BEGIN_TOKEN = 49406
END_TOKEN = 49407

State = Mapping[str, Tensor]


class ShapeProblem(ValueError):
    """The tensors of a network do not fit together; the message says which."""


def build_unet(state: State, family: Family) -> UNet2DConditionModel:
    """The UNet whose tensors, in the original layout and without prefix, are ``state``.

    Channels, layers, transformer depth and width of the text states are read from the shapes; what no shape
    tells (heads, groups of the norms) comes from the family and from the original layout.
    Raises ``ShapeProblem`` if a tensor that says how the network is built is missing.
    """
    levels = _unet_levels(state)
    layers = len(levels[0])
    attention = [f"input_blocks.{level[0]}.1.proj_in.weight" in state for level in levels]
    deepest = next((level[0] for level, there in zip(levels, attention, strict=True) if there), None)
    if deepest is None:
        raise ShapeProblem("its UNet has no attention blocks")
    first = f"input_blocks.{deepest}.1"
    down = ["CrossAttnDownBlock2D" if there else "DownBlock2D" for there in attention]
    up = ["CrossAttnUpBlock2D" if there else "UpBlock2D" for there in reversed(attention)]
    with torch.device("meta"):
        return UNet2DConditionModel(
            sample_size=64,
            in_channels=_shape(state, "input_blocks.0.0.weight")[1],
            out_channels=_shape(state, "out.2.weight")[0],
            down_block_types=tuple(down),
            up_block_types=tuple(up),
            block_out_channels=tuple(_shape(state, f"input_blocks.{level[0]}.0.out_layers.3.weight")[0]
                                     for level in levels),
            layers_per_block=layers,
            cross_attention_dim=_shape(state, f"{first}.transformer_blocks.0.attn2.to_k.weight")[1],
            transformer_layers_per_block=_count(state, f"{first}.transformer_blocks."),
            attention_head_dim=family.unet_heads,  # diffusers' old name for the number of heads
            use_linear_projection=len(_shape(state, f"{first}.proj_in.weight")) == 2,
            norm_num_groups=32,
        )


def build_vae(state: State, family: Family) -> AutoencoderKL:
    """The autoencoder whose tensors, in the original layout and without prefix, are ``state``.

    Raises ``ShapeProblem`` if a tensor that says how the network is built is missing.
    """
    levels = _count(state, "encoder.down.")
    if not levels:
        raise ShapeProblem("its VAE has no encoder")
    channels = tuple(_shape(state, f"encoder.down.{level}.block.0.conv2.weight")[0] for level in range(levels))
    with torch.device("meta"):
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


def build_text_encoder(state: State, family: Family) -> CLIPTextModel:
    """CLIP's text tower for ``state``, in transformers' names (``text_model.…``).

    Raises ``ShapeProblem`` if a tensor that says how the network is built is missing.
    """
    vocabulary, width = _shape(state, "text_model.embeddings.token_embedding.weight")
    layers = _count(state, "text_model.encoder.layers.")
    if not layers:
        raise ShapeProblem("its text encoder has no layers")
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=_shape(state, "text_model.encoder.layers.0.mlp.fc1.weight")[0],
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // family.text_head_width),
        max_position_embeddings=_shape(state, "text_model.embeddings.position_embedding.weight")[0],
        hidden_act="quick_gelu",
        bos_token_id=BEGIN_TOKEN,
        eos_token_id=END_TOKEN,
        pad_token_id=END_TOKEN,
        attn_implementation="sdpa",
    )
    with torch.device("meta"):
        return CLIPTextModel(config)


def _unet_levels(state: State) -> list[list[int]]:
    """Numbers of the input blocks of each level; a downsampling block ends a level."""
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
    """One more than the highest number that follows ``prefix`` in the keys; 0 if there is none."""
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    numbers = [int(match.group(1)) for match in map(pattern.match, state) if match]
    return max(numbers, default=-1) + 1


def _shape(state: State, key: str) -> tuple[int, ...]:
    if key not in state:
        raise ShapeProblem(f"{key} is missing")
    return tuple(state[key].shape)
