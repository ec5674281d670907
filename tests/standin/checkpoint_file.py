"""Checkpoints of which only the header is there, which is all that the tab reads."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

_UNET = "model.diffusion_model."
SD1 = {_UNET + "input_blocks.0.0.weight": (320, 4, 3, 3),
       _UNET + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768),
       "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": (49408, 768)}
SD2 = {_UNET + "input_blocks.0.0.weight": (320, 4, 3, 3),
       _UNET + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 1024),
       "cond_stage_model.model.token_embedding.weight": (49408, 1024)}
SDXL = {_UNET + "input_blocks.0.0.weight": (320, 4, 3, 3),
        _UNET + "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": (640, 2048),
        _UNET + "middle_block.1.transformer_blocks.0.attn1.to_q.weight": (1280, 1280),
        "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight": (49408, 768),
        "conditioner.embedders.1.model.token_embedding.weight": (49408, 1280)}


def write_header(path: Path, shapes: Mapping[str, tuple[int, ...]], metadata: Mapping[str, str] | None = None, *,
                 whole: bool = False) -> Path:
    """A .safetensors file of half-precision tensors with ``shapes``, its data left out, or zeros if it is ``whole``."""
    header: dict[str, object] = {"__metadata__": dict(metadata or {})}
    place = 0
    for name, shape in shapes.items():
        end = place + 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [place, end]}
        place = end
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    if whole:
        with path.open("r+b") as file:
            file.truncate(8 + len(text) + place)
    return path
