"""Names of LoRA modules in files: the path of a layer, joined by underscores.

SD 1.x and 2.x use the paths of diffusers and transformers. SDXL's UNet uses the original numbering, and its two text
encoders have separate prefixes; all tools follow this.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

UNET_PREFIX = "lora_unet"
TEXT_ENCODER_PREFIX = "lora_te"
TEXT_ENCODER_PREFIXES = ("lora_te1", "lora_te2")
"""The prefixes for models with two text encoders."""

_SIZE_CONDITIONING = "add_embedding.linear_1"
_TOP = {"conv_in": "input_blocks.0.0", "conv_out": "out.2", "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2", _SIZE_CONDITIONING: "label_emb.0.0",
        "add_embedding.linear_2": "label_emb.0.2"}
_IN_RESNET = {"conv1": "in_layers.2", "conv2": "out_layers.3", "time_emb_proj": "emb_layers.1",
              "conv_shortcut": "skip_connection"}
_BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)")
_MIDDLE = re.compile(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)")


def lora_key(prefix: str, module_path: str) -> str:
    """``lora_unet`` and ``mid_block.attentions.0.proj_in`` become ``lora_unet_mid_block_attentions_0_proj_in``."""
    return f"{prefix}_{module_path.replace('.', '_')}"


def key_table(prefix: str, module_paths: Iterable[str]) -> dict[str, str]:
    """LoRA key of each module path; needed for the reverse mapping, since an underscore is ambiguous.

    ``module_paths`` are those of a whole UNet or text encoder, from which SDXL is detected.
    """
    paths = dict.fromkeys(module_paths)  # a set would lose their order
    if prefix == UNET_PREFIX and _SIZE_CONDITIONING in paths:
        return {lora_key(prefix, name): path for path in paths if (name := original_path(path, paths))}
    return {lora_key(prefix, path): path for path in paths}


def text_encoder_prefixes(count: int) -> tuple[str, ...]:
    """The key prefix of each of ``count`` text encoders."""
    return (TEXT_ENCODER_PREFIX,) if count == 1 else TEXT_ENCODER_PREFIXES[:count]


def part_of(key: str) -> str:
    """``unet``, ``text_encoder`` or, for SDXL's second one, ``text_encoder_2``."""
    if is_unet_key(key):
        return "unet"
    return "text_encoder_2" if key.startswith(TEXT_ENCODER_PREFIXES[1] + "_") else "text_encoder"


def is_unet_key(key: str) -> bool:
    """Whether a LoRA key belongs to the UNet rather than to a text encoder."""
    return key.startswith(UNET_PREFIX + "_")


def original_path(path: str, paths: Collection[str]) -> str | None:
    """The original UNet's path of the layer that diffusers calls ``path``; ``None`` if it is not a layer there.

    ``paths`` are all of the UNet's, which determine the layers per level and the attention levels.
    """
    if path in _TOP:
        return _TOP[path]
    if match := _MIDDLE.fullmatch(path):
        kind, number, rest = match.groups()
        return f"middle_block.1.{rest}" if kind == "attentions" else _in_resnet(f"middle_block.{2 * int(number)}", rest)
    match = _BLOCK.fullmatch(path)
    if not match:
        return None
    side, level, kind, number, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
    layers = sum(f"{side}_blocks.0.resnets.{count}.conv1" in paths for count in range(10))
    if side == "down":
        if kind == "downsamplers":
            return f"input_blocks.{(level + 1) * (layers + 1)}.0.op"
        block = f"input_blocks.{1 + level * (layers + 1) + number}"
    else:
        block = f"output_blocks.{level * layers + (layers - 1 if kind == 'upsamplers' else number)}"
        if kind == "upsamplers":
            return f"{block}.{2 if f'up_blocks.{level}.attentions.0.proj_in' in paths else 1}.conv"
    return f"{block}.1.{rest}" if kind == "attentions" else _in_resnet(f"{block}.0", rest)


def _in_resnet(block: str, layer: str) -> str | None:
    return f"{block}.{_IN_RESNET[layer]}" if layer in _IN_RESNET else None
