"""A GPU that is only separate allocations of main memory, and every byte that is copied to it or from it.

A tensor whose storage was allocated by a transfer to the GPU says that it is there, and so does what is computed from
it. Everything else about it is PyTorch's own, so that the code under test moves modules as it always does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode

GPU = torch.device("cuda:0")
_CPU = torch.device("cpu")
_TO, _COPY, _TENSOR = torch.Tensor.to, torch.Tensor.copy_, torch.tensor
_MADE_ELSEWHERE = (_TO, _COPY)


@dataclass
class SimulatedGpu:
    """``uploaded`` and ``downloaded`` are the bytes of each transfer, in order, of 0-dimensional tensors none."""

    uploaded: list[int] = field(default_factory=list)
    downloaded: list[int] = field(default_factory=list)
    _there: dict[int, tuple[StorageWeakRef, int]] = field(default_factory=dict)

    @property
    def used(self) -> int:
        """How many bytes are allocated on it."""
        return sum(size for storage, size in list(self._there.values()) if not storage.expired())

    def forget(self) -> None:
        """Count from here on."""
        self.uploaded, self.downloaded = [], []

    def has(self, tensor: Tensor) -> bool:
        """Whether ``tensor`` lies on the GPU."""
        storage = tensor.untyped_storage()
        found = self._there.get(storage.data_ptr())
        return found is not None and not found[0].expired() and storage.nbytes() > 0

    def keep(self, tensor: Tensor) -> Tensor:
        """``tensor``, which was allocated on the GPU just now."""
        storage = tensor.untyped_storage()
        self._there[storage.data_ptr()] = (StorageWeakRef(storage), storage.nbytes())
        return tensor

    def to(self, tensor: Tensor, *words: Any, copy: bool = False, **named: Any) -> Tensor:
        """``Tensor.to``."""
        device, dtype, *_ = torch._C._nn._parse_to(*words, **named)
        if device is not None and device.type not in ("cpu", "cuda"):
            return _TO(tensor, device)
        was = GPU if self.has(tensor) else _CPU
        wanted = was if device is None else GPU if device.type == "cuda" else _CPU
        with torch._C.DisableTorchFunction():
            made = _TO(tensor, dtype=dtype or tensor.dtype, copy=copy or wanted != was)
        self._count(tensor, was, wanted)
        return self.keep(made) if wanted == GPU and made is not tensor else made

    def copy_(self, tensor: Tensor, source: Tensor, *words: Any, **named: Any) -> Tensor:
        """``Tensor.copy_``."""
        self._count(source, GPU if self.has(source) else _CPU, GPU if self.has(tensor) else _CPU)
        with torch._C.DisableTorchFunction():
            return _COPY(tensor, source, *words, **named)

    def tensor(self, values: Any, *, device: Any = None, **named: Any) -> Tensor:
        """``torch.tensor``."""
        made = _TENSOR(values, **named)
        return self.keep(made) if device is not None and torch.device(device).type == "cuda" else made

    def _count(self, tensor: Tensor, was: torch.device, wanted: torch.device) -> None:
        if was != wanted and tensor.ndim:
            (self.uploaded if wanted == GPU else self.downloaded).append(tensor.numel() * tensor.element_size())


class _Results(TorchFunctionMode):
    """What is computed from a tensor on the GPU is there too."""

    def __init__(self, gpu: SimulatedGpu) -> None:
        super().__init__()
        self._gpu = gpu

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func in _MADE_ELSEWHERE or getattr(func, "__name__", "") == "__get__":
            return made
        given = [one for one in (*args, *(kwargs or {}).values()) if isinstance(one, Tensor)]
        given += [one for many in args if isinstance(many, list | tuple) for one in many if isinstance(one, Tensor)]
        if any(self._gpu.has(one) for one in given):
            for one in made if isinstance(made, list | tuple) else (made,):
                if isinstance(one, Tensor) and not self._gpu.has(one):
                    self._gpu.keep(one)
        return made


def plug_in() -> SimulatedGpu:
    """Have every tensor of this process know about one GPU, for as long as the process lives or until ``unplug``."""
    gpu = SimulatedGpu()

    def cpu(tensor: Tensor, **_: Any) -> Tensor:
        return gpu.to(tensor, _CPU)

    here = torch._C.TensorBase.device
    torch.Tensor.device = property(  # type: ignore[assignment,misc]
        lambda tensor: GPU if here.__get__(tensor) == _CPU and gpu.has(tensor) else here.__get__(tensor))
    torch.Tensor.to = lambda tensor, *words, **named: gpu.to(tensor, *words, **named)  # type: ignore[method-assign]
    torch.Tensor.cpu = cpu  # type: ignore[method-assign,assignment]
    torch.Tensor.copy_ = lambda tensor, *words, **named: gpu.copy_(tensor, *words, **named)  # type: ignore
    torch.tensor = gpu.tensor  # type: ignore[assignment]
    return gpu


def unplug() -> None:
    """Undo ``plug_in``."""
    for name in ("device", "to", "cpu", "copy_"):
        delattr(torch.Tensor, name)
    torch.tensor = _TENSOR


@contextmanager
def plugged_in() -> Iterator[SimulatedGpu]:
    """A GPU in here; what this thread computes from tensors that are there is there too."""
    gpu = plug_in()
    try:
        with _Results(gpu):
            yield gpu
    finally:
        unplug()
