"""Reads and writes checkpoints tensor by tensor, with only a few tensors in memory at a time."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import sys
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ..errors import CheckpointError, RunError
from ..files.safetensors_header import SafetensorsHeader
from ..files.writing import writing
from ..models.checkpoint import read_checkpoint, read_stored
from ..models.header import PICKLED_ENDINGS, read_checkpoint_header

Shapes = Mapping[str, tuple[int, ...]]

_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
           "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8,
           "BOOL": torch.bool}
_DTYPES |= {name: getattr(torch, kind) for name, kind in (("F8_E4M3", "float8_e4m3fn"), ("F8_E5M2", "float8_e5m2"))
            if hasattr(torch, kind)}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_REMAP_BYTES = 512 << 20
_ALIGNMENT_BYTES = 8


class Source(Protocol):
    """The tensors of a checkpoint, each read on demand and not cached."""

    @property
    def path(self) -> Path: ...
    @property
    def shapes(self) -> Shapes: ...
    @property
    def metadata(self) -> Mapping[str, str]: ...

    def dtype(self, name: str) -> torch.dtype:
        """The stored dtype."""
        ...

    def read(self, name: str) -> Tensor:
        """The tensor as stored. Raises ``CheckpointError`` if it cannot be read."""
        ...


def open_source(path: Path) -> Source:
    """Open the checkpoint ``path``: .safetensors, or a supported pickle.

    Raises ``CheckpointError`` if it is missing, damaged or not a checkpoint.
    """
    if path.suffix.lower() in PICKLED_ENDINGS:
        return _PickledSource(path)
    header = read_checkpoint_header(path)
    unknown = next((f"{name} is {tensor.dtype}" for name, tensor in header.tensors.items()
                    if tensor.dtype not in _DTYPES), None)
    if unknown:
        raise CheckpointError(f"{path} holds numbers of a kind that cannot be read here: {unknown}. Choose a version "
                              "in fp16, bf16 or float.")
    return _MappedSource(header)


class _MappedSource:
    """A .safetensors file. Tensors are read, not memory-mapped, so that pages already read do not count as used."""

    def __init__(self, header: SafetensorsHeader) -> None:
        self._header = header
        self.path, self.shapes, self.metadata = header.path, header.shapes, header.metadata

    def dtype(self, name: str) -> torch.dtype:
        return _DTYPES[self._header.tensors[name].dtype]

    def read(self, name: str) -> Tensor:
        return read_stored(self._header, name, self.dtype(name))


class _PickledSource:
    """A .ckpt file, memory-mapped, and remapped every 512 MB so that pages already read are released."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = read_checkpoint(path)
        self._read_bytes = 0
        self.shapes: Shapes = self._file.shapes
        self.metadata: Mapping[str, str] = {}

    def dtype(self, name: str) -> torch.dtype:
        return self._file.tensors[name].dtype

    def read(self, name: str) -> Tensor:
        if self._read_bytes > _REMAP_BYTES:
            self._file, self._read_bytes = read_checkpoint(self.path), 0
        tensor = self._file.tensors[name].clone()
        self._read_bytes += tensor.numel() * tensor.element_size()
        return tensor


@dataclass(frozen=True)
class Entry:
    """A tensor to be written: its dtype and shape, and the function that computes it when it is due."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    make: Callable[[], Tensor]

    @property
    def bytes(self) -> int:
        """Size in the file."""
        return torch.empty(self.shape, dtype=self.dtype, device="meta").numel() * self.dtype.itemsize


def give_memory_back() -> None:
    """Return the memory of freed tensors to the system; glibc keeps it otherwise.

    Small results allocated between large temporary tensors pin whole regions: gigabytes over SDXL's layers.
    """
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)


def total_bytes(entries: Mapping[str, Entry]) -> int:
    """Size of all ``entries`` in the file."""
    return sum(entry.bytes for entry in entries.values())


def write_stream(path: Path, entries: Mapping[str, Entry], metadata: Mapping[str, str],
                 step: Callable[[int, int], None]) -> None:
    """Write a .safetensors file whose tensors are computed one after the other; atomic and durable.

    ``step`` is called after each tensor with done and total. The SHA-256 of the tensors goes into the metadata as
    ``modelspec.hash_sha256``. Raises ``WriteError`` if the disk is full, ``RunError`` if ``path`` exists.
    """
    temporary = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex[:8]}.tmp")
    digest = hashlib.sha256()
    try:
        with writing(path):
            with temporary.open("wb") as file:
                file.write(_header(entries, metadata, "0" * 64))
                for number, (name, entry) in enumerate(entries.items(), 1):
                    data = _bytes(name, entry)
                    digest.update(data)
                    file.write(data)
                    step(number, len(entries))
                file.seek(0)
                file.write(_header(entries, metadata, digest.hexdigest()))
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                raise RunError(f"{path} exists already and is never overwritten. Choose another name.")
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _bytes(name: str, entry: Entry) -> memoryview:
    tensor = entry.make()
    assert tensor.dtype == entry.dtype and tuple(tensor.shape) == entry.shape, name
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data


def _header(entries: Mapping[str, Entry], metadata: Mapping[str, str], sha256: str) -> bytes:
    described: dict[str, object] = {"__metadata__": dict(sorted(metadata.items())) | {
        "modelspec.hash_sha256": f"0x{sha256}"}}
    begin = 0
    for name, entry in entries.items():
        described[name] = {"dtype": _NAMES[entry.dtype], "shape": list(entry.shape),
                           "data_offsets": [begin, begin + entry.bytes]}
        begin += entry.bytes
    text = json.dumps(described, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT_BYTES)
    return len(text).to_bytes(8, "little") + text
