"""From diffusers' and transformers' names to those of the original (CompVis) SD 1.x checkpoints."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel

from tests.make_mini.vocabulary import CONTEXT

State = dict[str, torch.Tensor]

UNET_RESNET = (
    ("norm1", "in_layers.0"), ("conv1", "in_layers.2"), ("time_emb_proj", "emb_layers.1"),
    ("norm2", "out_layers.0"), ("conv2", "out_layers.3"), ("conv_shortcut", "skip_connection"),
)  # fmt: skip
VAE_ATTENTION = (("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out"))


def _move(source: State, target: State, old: str, new: str) -> None:
    """Move every tensor below one name to below another."""
    for key in [key for key in source if key.startswith(old + ".")]:
        target[new + key[len(old) :]] = source.pop(key)


def _move_resnet(source: State, target: State, old: str, new: str) -> None:
    for inner_old, inner_new in UNET_RESNET:
        _move(source, target, f"{old}.{inner_old}", f"{new}.{inner_new}")


def _finish(source: State, what: str) -> None:
    if source:
        raise ValueError(
            f"{len(source)} tensors of the {what} have no place in the layout, first {next(iter(source))!r}."
        )


def unet_state(unet: UNet2DConditionModel) -> State:
    """The UNet's tensors below `model.diffusion_model.`'s names."""
    source, target = dict(unet.state_dict()), State()
    for old, new in (
        ("time_embedding.linear_1", "time_embed.0"), ("time_embedding.linear_2", "time_embed.2"),
        ("conv_in", "input_blocks.0.0"), ("conv_norm_out", "out.0"), ("conv_out", "out.2"),
        ("mid_block.attentions.0", "middle_block.1"),
    ):  # fmt: skip
        _move(source, target, old, new)
    for number in range(2):
        _move_resnet(source, target, f"mid_block.resnets.{number}", f"middle_block.{2 * number}")
    levels, resnets = len(unet.config.block_out_channels), unet.config.layers_per_block
    for level in range(levels):
        first = (resnets + 1) * level
        for number in range(resnets):
            _move_resnet(
                source, target, f"down_blocks.{level}.resnets.{number}", f"input_blocks.{first + 1 + number}.0"
            )
            _move(source, target, f"down_blocks.{level}.attentions.{number}", f"input_blocks.{first + 1 + number}.1")
        _move(source, target, f"down_blocks.{level}.downsamplers.0.conv", f"input_blocks.{first + resnets + 1}.0.op")
        for number in range(resnets + 1):
            _move_resnet(source, target, f"up_blocks.{level}.resnets.{number}", f"output_blocks.{first + number}.0")
            _move(source, target, f"up_blocks.{level}.attentions.{number}", f"output_blocks.{first + number}.1")
        place = f"output_blocks.{first + resnets}.{1 if level == 0 else 2}.conv"
        _move(source, target, f"up_blocks.{level}.upsamplers.0.conv", place)
    _finish(source, "UNet")
    return target


def vae_state(vae: AutoencoderKL) -> State:
    """The autoencoder's tensors below `first_stage_model.`'s names; linear attention weights as 1x1 convolutions."""
    source, target = dict(vae.state_dict()), State()
    for name in ("quant_conv", "post_quant_conv"):
        _move(source, target, name, name)
    for half in ("encoder", "decoder"):
        for name in ("conv_in", "conv_out"):
            _move(source, target, f"{half}.{name}", f"{half}.{name}")
        _move(source, target, f"{half}.conv_norm_out", f"{half}.norm_out")
        for number in range(2):
            _move(source, target, f"{half}.mid_block.resnets.{number}", f"{half}.mid.block_{number + 1}")
        for old, new in VAE_ATTENTION:
            _move(source, target, f"{half}.mid_block.attentions.0.{old}", f"{half}.mid.attn_1.{new}")
    levels, resnets = len(vae.config.block_out_channels), vae.config.layers_per_block
    for level in range(levels):
        up = levels - 1 - level
        for number in range(resnets + 1):
            _move(
                source, target, f"encoder.down_blocks.{level}.resnets.{number}", f"encoder.down.{level}.block.{number}"
            )
            _move(source, target, f"decoder.up_blocks.{level}.resnets.{number}", f"decoder.up.{up}.block.{number}")
        _move(
            source, target, f"encoder.down_blocks.{level}.downsamplers.0.conv", f"encoder.down.{level}.downsample.conv"
        )
        _move(source, target, f"decoder.up_blocks.{level}.upsamplers.0.conv", f"decoder.up.{up}.upsample.conv")
    _finish(source, "autoencoder")
    return {key.replace("conv_shortcut", "nin_shortcut"): _as_vae_tensor(key, value) for key, value in target.items()}


def _as_vae_tensor(key: str, value: torch.Tensor) -> torch.Tensor:
    return value[:, :, None, None] if ".attn_1." in key and value.ndim == 2 else value


def checkpoint_state(unet: UNet2DConditionModel, vae: AutoencoderKL, text_encoder: CLIPTextModel) -> State:
    """A whole checkpoint in fp16, with CLIP's integer position ids as the original has them."""
    text = {f"transformer.{key}": value for key, value in text_encoder.state_dict().items()}
    parts = {
        "model.diffusion_model.": unet_state(unet),
        "first_stage_model.": vae_state(vae),
        "cond_stage_model.": text,
    }
    state = {prefix + key: value.half().contiguous() for prefix, part in parts.items() for key, value in part.items()}
    position_ids = torch.arange(CONTEXT, dtype=torch.int64)[None]
    state["cond_stage_model.transformer.text_model.embeddings.position_ids"] = position_ids
    return state


def save_checkpoint(path: Path, state: State) -> None:
    """Write a checkpoint, beside it first and then renamed."""
    part = path.with_suffix(".part")
    save_file(state, part, metadata={"format": "pt", "modelspec.title": path.stem, "modelspec.license": "MIT"})
    part.replace(path)
