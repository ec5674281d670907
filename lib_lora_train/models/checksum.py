"""Checksums of tensors, computed identically by the webui that lends them and the worker that opens them."""

from __future__ import annotations

import torch
from torch import Tensor

_WORD_BYTES, _ROW_WORDS = 8, 128

SPOTS = 16


def checksum(tensor: Tensor) -> tuple[int, int]:
    """Two sums over the bits of ``tensor``, modulo 2**64: of all words, and of rows of 1 KB weighted by their index.

    Detects mixed-up or torn data, not forgery. Runs on the tensor's device, CPU or GPU, at memory speed.
    """
    raw = tensor.detach().reshape(-1).view(torch.uint8)
    if raw.data_ptr() % _WORD_BYTES:
        raw = raw.clone()  # a view of a larger tensor; its copy is aligned for reading words
    whole = raw.numel() // (_WORD_BYTES * _ROW_WORDS) * _WORD_BYTES * _ROW_WORDS
    rows = raw[:whole].view(torch.int64).view(-1, _ROW_WORDS).sum(1)
    rest = raw[whole:].long()
    places, ends = (torch.arange(1, 2 * part.numel() + 1, 2, device=raw.device) for part in (rows, rest))
    return int(rows.sum() + rest.sum()), int((rows * places).sum() + (rest * ends).sum())


def spots(tensor: Tensor) -> Tensor:
    """``SPOTS`` values spread evenly over ``tensor`` (all of them if it has fewer), on its device and in its dtype.

    A LoRA changes every value of a layer, so these few show whether one is applied.
    """
    flat = tensor.detach().reshape(-1)
    if flat.numel() <= SPOTS:
        return flat.clone()
    places = torch.linspace(0, flat.numel() - 1, SPOTS, dtype=torch.float64).long()
    return flat[places.to(flat.device)]


def same(one: Tensor, other: Tensor) -> bool:
    """Whether both hold the same values; NaN equals NaN."""
    return bool(((one == other) | (one.isnan() & other.isnan())).all())
