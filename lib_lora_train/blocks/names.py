"""Block names, as used by block weights, per-block training and plots. Free of torch.

``BASE`` is the text encoder, ``IN00`` to ``IN11`` go down, ``M00`` is the middle, ``OUT00`` to ``OUT11`` go up, as in
the original UNet's ``input_blocks``, ``middle_block`` and ``output_blocks``; SDXL has nine on each side.
"""

from __future__ import annotations

import re
from functools import lru_cache

FULL_SD1 = ("BASE", *(f"IN{n:02d}" for n in range(12)), "M00", *(f"OUT{n:02d}" for n in range(12)))
"""All 26 blocks, the list for networks with convolutions. Every other list is a subset of it."""
SHORT_SD1 = ("BASE", *(f"IN{n:02d}" for n in (1, 2, 4, 5, 7, 8)), "M00", *(f"OUT{n:02d}" for n in range(3, 12)))
"""The 17 blocks with attention, the list for LoRA-LierLa."""
FULL_SDXL = ("BASE", *(f"IN{n:02d}" for n in range(9)), "M00", *(f"OUT{n:02d}" for n in range(9)))
"""The 20 blocks of SDXL."""
SHORT_SDXL = ("BASE", *(f"IN{n:02d}" for n in (4, 5, 7, 8)), "M00", *(f"OUT{n:02d}" for n in range(6)))
"""The 12 blocks of SDXL with attention."""
WITHOUT_BASE = FULL_SD1[1:]
"""A full list may omit ``BASE``, which then stays at 1."""

LISTS = {len(names): names for names in (SHORT_SDXL, SHORT_SD1, FULL_SDXL, FULL_SD1)}

_LAYERS = 3  # of one level: down (two layers and the downsampler) and up
_UNET = r"(?:base_model_model_)?(?:(?:lora_|oft_)?unet_|model_diffusion_model_|diffusion_model_)?"
_TEXT = re.compile(r"(?:base_model_model_)?(?:(?:lora_|oft_)?te\d?_|text_encoders?_|text_model_|clip_[lg]_|"
                   r"cond_stage_model_|conditioner_|(?:\d_)?transformer_text_model_|(?:\d_)?model_transformer_|1_model_)")
_MIDDLE = re.compile(_UNET + r"(?:mid_block|middle_block)_")
_ORIGINAL = re.compile(_UNET + r"(input|output)_blocks_(\d+)_")
_DIFFUSERS = re.compile(_UNET + r"(down|up)_blocks_(\d+)_(attentions|resnets|downsamplers|upsamplers)_(\d+)_")
_FIRST = re.compile(_UNET + r"conv_in_")
_TENSOR = re.compile(r"\.(lora_\w+(?:\.default)?(?:\.weight)?|lora\.(?:up|down)\.weight|(?:up|down)\.weight|alpha|"
                     r"dora_scale|(?:hada|lokr|oft)_\w+|diff(?:_b)?|[wb]_norm|on_input|[ab][12]\.weight|scalar|rescale|"
                     r"weight|bias)$")


@lru_cache(maxsize=65536)
def block_of(key: str) -> str | None:
    """The block of a layer or tensor of a LoRA, such as ``lora_unet_mid_block_attentions_0_proj_in``.

    Accepts the names of kohya's tools, LyCORIS, diffusers and PEFT (with dots), and the webui's layer names. Original
    and diffusers numbering give the same block, for each family. ``None`` for the few layers that belong to no block:
    time embedding and output convolution.
    """
    name = key.replace(".", "_") + "_"
    if _TEXT.match(name):
        return "BASE"
    if _MIDDLE.match(name):
        return "M00"
    if _FIRST.match(name):
        return "IN00"
    if match := _ORIGINAL.match(name):
        return _known(f"{'IN' if match[1] == 'input' else 'OUT'}{int(match[2]):02d}")
    if match := _DIFFUSERS.match(name):
        level, number = int(match[2]), int(match[4])
        if match[3].endswith("samplers"):
            number = _LAYERS - 1
        return _known(f"IN{1 + level * _LAYERS + number:02d}" if match[1] == "down" else
                      f"OUT{level * _LAYERS + number:02d}")
    return None


def layer_and_tensor(key: str) -> tuple[str, str]:
    """Split ``x.to_q.lora_A.weight`` into ``("x.to_q", "lora_A.weight")``; kohya's layers end at their first dot."""
    if key.startswith(("lora_", "oft_")):
        layer, _, tensor = key.partition(".")
        return layer, tensor
    match = _TENSOR.search(key)
    return (key[:match.start()], match[1]) if match else (key, "")


def _known(block: str) -> str | None:
    return block if block in FULL_SD1 else None
