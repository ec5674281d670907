"""Atomic writing of LoRA files, and reading."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from ..errors import CheckpointError, RunError
from ..files.atomic import remove_leftovers, write_atomically
from ..files.safetensors_header import tensor_data_start
from ..files.writing import cannot_write
from ..models.checkpoint import read_checkpoint
from ..models.hashes import old_tensor_data_hash, tensor_data_sha256
from .lora_facts import LoraFacts, facts_of, looks_like_lora, not_a_lora
from .network import Network

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "float": torch.float32}
_ALIGNMENT_BYTES = 8


def save_network(path: Path, network: Network, precision: str, metadata: Mapping[str, str]) -> None:
    """Write the network's tensors as ``precision`` (fp16, bf16 or float) with ``metadata`` and their hashes.

    Writing is atomic and durable; the same tensors and metadata give the same bytes. Raises ``RunError`` if a file of
    that name exists, the disk is full or the folder is not writable.
    """
    tensors = {key: tensor.detach().to("cpu", _saved_dtype(key, tensor, precision)).contiguous()
               for key, tensor in network.state_dict().items()}
    write_tensors(path, tensors, metadata)


def _saved_dtype(key: str, tensor: Tensor, precision: str) -> torch.dtype:
    # alpha scales everything and costs 4 bytes, so it is never rounded; on_input of (IA)^3 is a flag
    return tensor.dtype if key.endswith((".alpha", ".on_input")) else DTYPES[precision]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write ``tensors`` as .safetensors; hashes of their data are added to ``metadata``.

    Raises ``RunError`` as ``save_network`` does.
    """
    if path.exists():
        raise RunError(f"{path} exists already and is never overwritten. Choose another name for the LoRA.")
    data = safetensors.torch.save(dict(tensors))
    sha256 = tensor_data_sha256(data)
    hashes = {"sshs_model_hash": sha256, "sshs_legacy_hash": old_tensor_data_hash(data),
              "modelspec.hash_sha256": f"0x{sha256}"}
    _write_whole(path, _with_metadata(data, {**metadata, **hashes}))


@dataclass(frozen=True)
class LoraFile:
    """A LoRA file of any kind: its tensors, and facts from them and the metadata."""

    path: Path
    tensors: Mapping[str, Tensor]
    facts: LoraFacts

    @property
    def metadata(self) -> Mapping[str, str]:
        """The file's metadata."""
        return self.facts.metadata

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor by name."""
        return {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}

    def of_layer(self, key: str) -> dict[str, Tensor]:
        """The tensors of one layer by name suffix, such as ``lora_down.weight``."""
        return self._by_layer[key]

    @cached_property
    def _by_layer(self) -> dict[str, dict[str, Tensor]]:
        layers: dict[str, dict[str, Tensor]] = {}
        for name, tensor in self.tensors.items():
            layer, _, rest = name.partition(".")
            layers.setdefault(layer, {})[rest] = tensor
        return layers


def load_network_file(path: Path) -> LoraFile:
    """Read a LoRA file of any kind. A missing alpha equals the layer's rank, as is usual.

    Raises ``CheckpointError`` if it is missing, damaged or not a LoRA.
    """
    if not path.exists():
        raise CheckpointError(f"There is no LoRA file {path}. Choose one that exists, or put it back.")
    file = read_checkpoint(path, "LoRA")
    if not looks_like_lora(file.shapes):
        raise CheckpointError(not_a_lora(path, file.shapes))
    alphas = {key.removesuffix(".alpha"): _alpha(path, key, tensor) for key, tensor in file.tensors.items()
              if key.endswith(".alpha")}
    return LoraFile(path, file.tensors, facts_of(file.shapes, alphas, file.metadata))


def _alpha(path: Path, key: str, tensor: Tensor) -> float:
    value = float(tensor) if tensor.numel() == 1 else math.nan
    if not math.isfinite(value):
        raise CheckpointError(f"{path} is damaged: {key} is {tensor.flatten()[:3].tolist()!s} where one finite number "
                              "belongs. Download or copy it again, or choose another.")
    return value


def _with_metadata(data: bytes, metadata: Mapping[str, str]) -> bytes:
    """``data``, a .safetensors file, with ``metadata`` in its header, sorted by key.

    The library writes keys in random order, so that the same run would give a different file each time.
    """
    end = tensor_data_start(data)
    header = json.loads(data[8:end])
    tensors = {key: header[key] for key in sorted(header, key=lambda key: header[key]["data_offsets"])}
    text = json.dumps({"__metadata__": dict(sorted(metadata.items())), **tensors}, separators=(",", ":"),
                      ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT_BYTES)
    return b"".join([len(text).to_bytes(8, "little"), text, memoryview(data)[end:]])


def _write_whole(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        write_atomically(path, content)
        _make_rename_durable(path.parent)
    except OSError as problem:
        raise RunError(f"The LoRA cannot be written. {cannot_write(path, problem)} Or choose another folder. Nothing "
                       "that was saved before is lost.") from problem


def _make_rename_durable(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows cannot open a folder; its rename is journaled
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
