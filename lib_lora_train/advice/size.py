"""How big a LoRA file will be, from the checkpoint's header alone."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from pathlib import Path

from ..config.groups.network import NetworkSettings

_BYTES = {"fp16": 2, "bf16": 2, "float": 4}
_HEADER_BYTES_AT_MOST = 100_000_000
_HEADER_BYTES_PER_TENSOR = 150  # its name, shape and offsets
_METADATA_BYTES = 4_000
_UNET_LAYER = re.compile(
    r"^model\.diffusion_model\.(?:input_blocks|middle_block|output_blocks)\..*"
    r"(?:transformer_blocks\.\d+\.(?:attn\d\.to_(?:q|k|v|out\.0)|ff\.net\.(?:0\.proj|2))|proj_in|proj_out)\.weight$")
_TEXT_ENCODER_LAYER = re.compile(
    r"^cond_stage_model\.transformer\.(?:text_model\.)?encoder\.layers\.\d+\."
    r"(?:self_attn\.(?:q|k|v|out)_proj|mlp\.fc\d)\.weight$")


def read_shapes(checkpoint: Path) -> dict[str, list[int]] | None:
    """Names and shapes of the tensors in a .safetensors file; ``None`` if it is no such file."""
    try:
        with checkpoint.open("rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            header = json.loads(file.read(length)) if length <= _HEADER_BYTES_AT_MOST else {}
        return {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"} or None
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError):
        return None


def lora_file_bytes(shapes: Mapping[str, list[int]], settings: NetworkSettings, precision: str) -> int | None:
    """The size of a LoRA-LierLa file for a checkpoint with ``shapes``.

    ``None`` for other types, and if the checkpoint has no layers to train.
    """
    if settings.network_type != "LoRA-LierLa":
        return None
    wanted = []
    if not settings.network_train_text_encoder_only:
        wanted.append(_UNET_LAYER)
    if not settings.network_train_unet_only:
        wanted.append(_TEXT_ENCODER_LAYER)
    layers = [shape for name, shape in shapes.items() if any(pattern.match(name) for pattern in wanted)]
    if not layers:
        return None
    numbers = sum(settings.network_dim * (shape[0] + shape[1]) + 1 for shape in layers)
    return numbers * _BYTES[precision] + len(layers) * 3 * _HEADER_BYTES_PER_TENSOR + _METADATA_BYTES
