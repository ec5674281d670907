"""Reads checkpoint files without a second copy in memory and without running code from them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import CheckpointError
from ..files.safetensors_header import SafetensorsHeader
from .header import read_checkpoint_header, refuse_what_is_no_file
from .pickled import DAMAGE, ForbiddenName, load_weights

_PIECE_BYTES = 256 << 20


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of one file, memory-mapped where the format allows, and the metadata of its header."""

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    mapped: frozenset[str] = frozenset()
    """The keys of the tensors that are memory-mapped from ``path``."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor by key."""
        return {key: tuple(tensor.shape) for key, tensor in self.tensors.items()}

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose key begins with ``prefix``, with the prefix removed."""
        return {key[len(prefix):]: tensor for key, tensor in self.tensors.items() if key.startswith(prefix)}

    def copied(self, prefix: str, names: Iterable[str], copy: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """A ``copy`` of each of the memory-mapped tensors ``prefix`` + name, by name.

        Pages of a mapping stay in memory once they were read, so these tensors are read without it, one by one. Raises
        ``CheckpointError`` if the file can no longer be read.
        """
        names = list(names)
        read = _read_again(self, [prefix + name for name in names])
        return {name: copy(tensor) for name, tensor in zip(names, read, strict=True)}


def read_checkpoint(path: Path, what: str = "checkpoint") -> Checkpoint:
    """Open ``path``; the tensors stay on disk until they are used (old .ckpt files are read at once).

    ``what``, a checkpoint or a LoRA, is named in error messages. Raises ``CheckpointError`` if it is missing, damaged,
    not a checkpoint, or a pickle that tries to run code.
    """
    refuse_what_is_no_file(path, what)
    if path.suffix.lower() == ".safetensors":
        return _read_safetensors(path, what)
    return _read_pickle(path, what)


def _read_safetensors(path: Path, what: str) -> Checkpoint:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as problem:
        raise CheckpointError(f"The {what} {path} is damaged or truncated ({_line(problem)}). "
                              "Download or copy it again.") from problem
    if not tensors:
        raise CheckpointError(f"The {what} {path} holds no weights. Choose another file.")
    return Checkpoint(path, tensors, metadata, frozenset(tensors))


def read_stored(header: SafetensorsHeader, name: str, dtype: torch.dtype) -> Tensor:
    """The tensor ``name`` of a .safetensors file, read without mapping the file.

    Raises ``CheckpointError`` if it cannot be read.
    """
    path, stored = header.path, header.tensors[name]
    data = bytearray(stored.end - stored.begin)
    try:
        with path.open("rb") as file:
            file.seek(stored.begin)
            count = file.readinto(data)
    except OSError as problem:
        raise CheckpointError(f"{path} cannot be read: {problem.strerror}. Check the disk.") from problem
    if count != len(data):
        raise CheckpointError(f"{path} ends in the middle of {name}. Download or copy it again.")
    flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
    return flat.reshape(stored.shape)


def _read_again(file: Checkpoint, keys: Sequence[str]) -> Iterator[Tensor]:
    """The tensors of ``keys``, each read when it is due; a pickle is mapped again for every 256 MB."""
    if keys and file.path.suffix.lower() == ".safetensors":
        header = read_checkpoint_header(file.path)
        for key in keys:
            if key not in header.tensors or header.tensors[key].shape != tuple(file.tensors[key].shape):
                raise CheckpointError(f"{file.path} has changed while it was read. Start the run again.")
            yield read_stored(header, key, file.tensors[key].dtype)
        return
    read_bytes, tensors = _PIECE_BYTES, file.tensors
    for key in keys:
        if read_bytes >= _PIECE_BYTES:
            read_bytes, tensors = 0, _read_pickle(file.path, "checkpoint").tensors
        read_bytes += tensors[key].numel() * tensors[key].element_size()
        yield tensors[key]


def _read_pickle(path: Path, what: str) -> Checkpoint:
    try:
        content = load_weights(path)
    except ForbiddenName as problem:
        raise CheckpointError(
            f"The {what} {path} holds more than weights: unpacking it would run code from the file ({problem}). "
            "Choose a .safetensors version, or one from a source you trust.") from problem
    except DAMAGE as problem:
        raise CheckpointError(f"The {what} {path} is damaged or no {what} at all ({_line(problem)}). "
                              "Download or copy it again, or choose another.") from problem
    tensors = _tensors_of(content)
    if not tensors:
        found = f"is {kind}, not a {what}" if (kind := _other_pickle(content)) else \
            f"holds no weights by name, so it is not a {what}"
        raise CheckpointError(f"{path} {found}. Choose another file.")
    return Checkpoint(path, tensors, {}, frozenset(tensors) if zipfile.is_zipfile(path) else frozenset())


def _other_pickle(content: Any) -> str:
    """The type of an older webui file, from its entries; empty if unknown."""
    if not isinstance(content, Mapping):
        return ""
    if "string_to_param" in content:
        return "a textual inversion embedding"
    return "a hypernetwork" if any(isinstance(key, int) for key in content) else ""


def _tensors_of(content: Any) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        return {}
    inner = content.get("state_dict")
    if isinstance(inner, Mapping):
        content = inner
    return {str(key): value.detach() for key, value in content.items() if isinstance(value, Tensor)}


def _line(problem: Exception) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0][:200].rstrip(".")
