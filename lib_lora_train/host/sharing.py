"""Puts tensors where another process can open them by name, without a permanent copy."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.reduction import ForkingPickler
from typing import TypeVar

import torch.multiprocessing  # also registers the pickling of tensors with ForkingPickler
from torch import Tensor

from ..models.checksum import checksum

_BY_NAME = "file_system"
_PROTOCOL = 4
_TRIES = 10
_THREADS = 4
"""PyTorch releases the GIL while it copies, and allocating pages of shared memory is slow."""
_T = TypeVar("_T")


def unshared_bytes(tensors: Iterable[Tensor]) -> int:
    """The shared memory needed to share ``tensors``, without those already shared."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors if not _is_shared(tensor))


def shared_copy(tensor: Tensor) -> Tensor:
    """``tensor`` in shared main memory: itself if it is there, else a copy, made in a single transfer.

    Raises ``RuntimeError`` if that fails.
    """
    if _is_shared(tensor):
        return tensor
    with _sharing_by_name():
        values = 1 + sum((size - 1) * stride for size, stride in zip(tensor.size(), tensor.stride(), strict=True))
        storage = _patiently(lambda: torch.UntypedStorage._new_shared(values * tensor.element_size()))
    copy = torch.empty(0, dtype=tensor.dtype).set_(storage, 0, tensor.size(), tensor.stride())
    return copy.copy_(tensor)


def _is_shared(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.is_shared()


def shared_handles(tensors: Mapping[str, Tensor]) -> bytes:
    """Share ``tensors``; returns pickled handles for a worker: the location of each, and its checksum.

    CPU tensors are moved to shared memory in place, a few at a time: existing references stay valid. Raises
    ``RuntimeError`` if that fails.
    """
    handles = io.BytesIO()
    with _sharing_by_name(), ThreadPoolExecutor(_THREADS) as threads:
        checksums = dict(zip(tensors, threads.map(_share, tensors.values()), strict=True))
        ForkingPickler(handles, _PROTOCOL).dump({"tensors": dict(tensors), "checksums": checksums})
    return handles.getvalue()


def _share(tensor: Tensor) -> tuple[int, int]:
    return checksum(_patiently(tensor.share_memory_))


def _patiently(share: Callable[[], _T]) -> _T:
    """``share()``, again if PyTorch's helper process took too long to answer, as on a busy machine.

    PyTorch waits for it for a second. Raises ``RuntimeError``.
    """
    for _ in range(_TRIES - 1):
        try:
            return share()
        except RuntimeError as problem:
            if "timed out" not in str(problem):
                raise
    return share()


@contextmanager
def _sharing_by_name() -> Iterator[None]:
    """Within the context, shared memory has names that any process can open, instead of inherited file descriptors."""
    usual = torch.multiprocessing.get_sharing_strategy()
    torch.multiprocessing.set_sharing_strategy(_BY_NAME)
    try:
        yield
    finally:
        torch.multiprocessing.set_sharing_strategy(usual)
