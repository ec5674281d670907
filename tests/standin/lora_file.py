"""A LoRA file written by hand, for tests that run without torch."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

LAYER = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"


def write_lora(path: Path, metadata: dict[str, str], further: dict[str, tuple[int, ...]] | None = None) -> Path:
    """A .safetensors file with a LoRA of rank 8 and alpha 4 on one layer, and zeros of the shapes in ``further``."""
    shapes = {f"{LAYER}.lora_down.weight": (8, 768), f"{LAYER}.lora_up.weight": (320, 8), f"{LAYER}.alpha": (),
              **(further or {})}
    header, data = {"__metadata__": metadata}, b""
    for key, shape in shapes.items():
        size = 4 * math.prod(shape)
        header[key] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + size]}
        data += struct.pack("<f", 4.0) if key.endswith(".alpha") else bytes(size)
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path
