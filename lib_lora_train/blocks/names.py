"""The blocks of a model, as block weights, per-block training and plots name them. Free of torch.

``BASE`` is the text encoder, ``IN00`` to ``IN11`` go down, ``M00`` is the middle, ``OUT00`` to ``OUT11`` go up, as
in the original UNet's ``input_blocks``, ``middle_block`` and ``output_blocks``; SDXL has nine on each side.
"""

from __future__ import annotations

import re

from .lists import FULL_SD1, FULL_SDXL, SHORT_SD1, SHORT_SDXL

__all__ = ["FULL_SD1", "FULL_SDXL", "SHORT_SD1", "SHORT_SDXL", "block_of"]

_LAYERS_DOWN = 3  # input blocks of one level: two layers and what halves the size
_LAYERS_UP = 3
_DOWN = re.compile(r"lora_unet_down_blocks_(\d+)_(?:attentions|resnets)_(\d+)_")
_UP = re.compile(r"lora_unet_up_blocks_(\d+)_(?:attentions|resnets)_(\d+)_")
_ORIGINAL = re.compile(r"lora_unet_(input|output)_blocks_(\d+)_")
_DOWNSAMPLER = re.compile(r"lora_unet_down_blocks_(\d+)_downsamplers_0_")
_UPSAMPLER = re.compile(r"lora_unet_up_blocks_(\d+)_upsamplers_0_")


def block_of(key: str) -> str | None:
    """The block of a LoRA key, such as ``lora_unet_mid_block_attentions_0_proj_in``, or of a tensor's name.

    SD 1.x and 2.x have diffusers' names, SDXL the original's, which count the blocks themselves.
    ``None`` for the few layers that belong to no block: time embedding and output convolution.
    """
    module = key.partition(".")[0]
    if module.startswith("lora_te"):
        return "BASE"
    if module.startswith(("lora_unet_mid_block_", "lora_unet_middle_block_")):
        return "M00"
    if module == "lora_unet_conv_in":
        return "IN00"
    if match := _ORIGINAL.match(module):
        return f"{'IN' if match[1] == 'input' else 'OUT'}{int(match[2]):02d}"
    if match := _DOWN.match(module):
        return f"IN{1 + int(match[1]) * _LAYERS_DOWN + int(match[2]):02d}"
    if match := _DOWNSAMPLER.match(module):
        return f"IN{(1 + int(match[1])) * _LAYERS_DOWN:02d}"
    if match := _UP.match(module):
        return f"OUT{int(match[1]) * _LAYERS_UP + int(match[2]):02d}"
    if match := _UPSAMPLER.match(module):
        return f"OUT{(1 + int(match[1])) * _LAYERS_UP - 1:02d}"
    return None
