"""Checksums of tensors, made alike by the webui that lends them and by the worker that opens them."""

from __future__ import annotations

import torch
from torch import Tensor

_CHUNK_VALUES = 1 << 22
_WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}

SPOTS = 16


def checksum(tensor: Tensor) -> tuple[int, int]:
    """Two sums over the bits of ``tensor``: of all values, and of every third one.

    For what is mixed up or torn, not against forgery. Works where the tensor is, on the CPU or a GPU.
    """
    words = tensor.detach().reshape(-1).view(_WORDS[tensor.element_size()])
    every, third = 0, 0
    for chunk in words.split(_CHUNK_VALUES):
        every += int(chunk.sum(dtype=torch.int64))
        third += int(chunk[::3].sum(dtype=torch.int64))
    return every, third


def spots(tensor: Tensor) -> Tensor:
    """``SPOTS`` values spread evenly over ``tensor`` (all of them if it has fewer), on its device and in its dtype.

    A LoRA changes every value of a layer, so that these few tell whether one is in it.
    """
    flat = tensor.detach().reshape(-1)
    if flat.numel() <= SPOTS:
        return flat.clone()
    places = torch.linspace(0, flat.numel() - 1, SPOTS, dtype=torch.float64).long()
    return flat[places.to(flat.device)]
