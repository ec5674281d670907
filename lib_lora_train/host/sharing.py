"""Putting tensors where another process can open them by name, without a copy that stays."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.reduction import ForkingPickler

import torch.multiprocessing  # also teaches ForkingPickler how to pickle tensors
from torch import Tensor

from ..models.checksum import checksum

_BY_NAME = "file_system"
_PROTOCOL = 4
_THREADS = 4
"""PyTorch lets others run while it copies, and new pages of shared memory are slow to come by."""


def unshared_bytes(tensors: Iterable[Tensor]) -> int:
    """How much shared memory will be taken when ``tensors`` are shared: all of them but those that are there."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors if not _is_shared(tensor))


def shared_copy(tensor: Tensor) -> Tensor:
    """``tensor`` in shared main memory: itself if it is there, else a copy, in one transfer from wherever it is.

    Raises ``RuntimeError`` if that cannot be done.
    """
    if _is_shared(tensor):
        return tensor
    with _sharing_by_name():
        values = 1 + sum((size - 1) * stride for size, stride in zip(tensor.size(), tensor.stride(), strict=True))
        storage = torch.UntypedStorage._new_shared(values * tensor.element_size())
    copy = torch.empty(0, dtype=tensor.dtype).set_(storage, 0, tensor.size(), tensor.stride())
    return copy.copy_(tensor)


def _is_shared(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.is_shared()


def shared_handles(tensors: Mapping[str, Tensor]) -> bytes:
    """Share ``tensors``; what a worker needs to open them, pickled: where each lies, and its checksum.

    Tensors of the CPU are moved into shared memory, a few at a time and in place: whoever holds one holds it still.
    Raises ``RuntimeError`` if that cannot be done.
    """
    handles = io.BytesIO()
    with _sharing_by_name(), ThreadPoolExecutor(_THREADS) as threads:
        checksums = dict(zip(tensors, threads.map(_share, tensors.values()), strict=True))
        ForkingPickler(handles, _PROTOCOL).dump({"tensors": dict(tensors), "checksums": checksums})
    return handles.getvalue()


def _share(tensor: Tensor) -> tuple[int, int]:
    return checksum(tensor.share_memory_())


@contextmanager
def _sharing_by_name() -> Iterator[None]:
    """Shared memory has names that an unrelated process can open, instead of files that only a child inherits."""
    usual = torch.multiprocessing.get_sharing_strategy()
    torch.multiprocessing.set_sharing_strategy(_BY_NAME)
    try:
        yield
    finally:
        torch.multiprocessing.set_sharing_strategy(usual)
