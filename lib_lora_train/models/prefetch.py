"""Copies weights from main memory to the GPU just before they are needed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .quantized import Packed

_AHEAD = 2
"""Number of weights being copied while one is in use."""


class Prefetcher:
    """Weights requested one after another, usually in the same order each time.

    The weight that followed last time is copied on a second CUDA stream while the current one is in use. If the order
    changes (a sample in between, the backward pass), the weight is simply waited for.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._follower: dict[tuple[int, int], Packed] = {}
        self._before: tuple[int, int] = (0, 0)
        self._coming: dict[int, tuple[Packed, Any]] = {}

    def fetch(self, packed: Packed) -> Packed:
        """``packed`` with its tensors on the device."""
        self._follower[self._before] = packed
        self._before = (self._before[1], id(packed))
        copy, arrived = self._coming.pop(id(packed), (None, None))
        if copy is None:
            self._coming.clear()  # the order changed, so the expected weight is not needed soon
            copy = packed.changed(self._bring)
        elif arrived is not None:
            torch.cuda.current_stream(self._device).wait_event(arrived)
            copy.changed(self._keep_until_used)
        self._send_for_what_follows()
        return copy

    def _send_for_what_follows(self) -> None:
        place = self._before
        for _ in range(_AHEAD):
            following = self._follower.get(place)
            if following is None:
                return
            if id(following) not in self._coming:
                self._coming[id(following)] = self._send_for(following)
            place = (place[1], id(following))

    def _send_for(self, packed: Packed) -> tuple[Packed, Any]:
        if self._stream is None:
            return packed.changed(self._bring), None
        with torch.cuda.stream(self._stream):
            copy = packed.changed(self._bring)
            arrived = torch.cuda.Event()
            arrived.record(self._stream)
        return copy, arrived

    def _bring(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._device, non_blocking=True)

    def _keep_until_used(self, tensor: Tensor) -> Tensor:
        """Prevent the allocator from giving this memory to the copy stream before the compute stream has read it."""
        tensor.record_stream(torch.cuda.current_stream(self._device))
        return tensor
