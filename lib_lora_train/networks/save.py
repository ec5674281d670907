"""Writing LoRA files whole or not at all, and reading them again."""

from __future__ import annotations

import errno
import json
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from ..errors import CheckpointError, RunError
from ..models.checkpoint import read_checkpoint
from ..models.family import is_lora
from ..models.hashes import header_end, old_tensor_data_hash, tensor_data_sha256
from .network import Network

ENDING = ".safetensors"
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "float": torch.float32}
_ALIGNMENT_BYTES = 8
# what follows the name in the files of a run: "-000004" for an epoch, "-step00001000" for steps
_OF_THE_SAME_RUN = r"(-\d{6}|-step\d{8})?"


def epoch_file_name(name: str, epoch: int) -> str:
    """``penny-000004.safetensors`` for epoch 4 of ``penny``."""
    return f"{name}-{epoch:06d}{ENDING}"


def step_file_name(name: str, step: int) -> str:
    """``penny-step00001000.safetensors`` for step 1000 of ``penny``."""
    return f"{name}-step{step:08d}{ENDING}"


def last_file_name(name: str) -> str:
    """``penny.safetensors``, the last file of a run."""
    return name + ENDING


def next_free_name(folder: Path, name: str) -> str:
    """``name``, or the first of ``name-v2``, ``name-v3`` … that no file in ``folder`` or below uses.

    A name is used if its last, an epoch's or a step's file is there under any ending that the webui lists, in
    upper or lower case. A folder that is not there yet has every name free.
    """
    taken = {path.stem.lower() for path in folder.rglob("*") if path.suffix.lower() in (ENDING, ".ckpt", ".pt")}
    number = 1
    while True:
        candidate = name if number == 1 else f"{name}-v{number}"
        pattern = re.compile(re.escape(candidate.lower()) + _OF_THE_SAME_RUN)
        if not any(pattern.fullmatch(stem) for stem in taken):
            return candidate
        number += 1


def save_network(path: Path, network: Network, precision: str, metadata: Mapping[str, str]) -> None:
    """Write the network's tensors as ``precision`` (fp16, bf16 or float) with ``metadata`` and their hashes.

    The file appears whole and durable under its name or not at all; the same tensors and metadata give the same
    bytes. Raises ``RunError`` if a file of that name exists, the disk is full or the folder cannot be written.
    """
    dtype = DTYPES[precision]
    tensors = {key: tensor.detach().to("cpu", dtype).contiguous() for key, tensor in network.state_dict().items()}
    write_tensors(path, tensors, metadata)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write ``tensors`` as .safetensors; ``sshs_model_hash`` and ``sshs_legacy_hash`` are added to ``metadata``.

    Raises ``RunError`` as ``save_network`` does.
    """
    if path.exists():
        raise RunError(f"{path} exists already and is never overwritten. Choose another name for the LoRA.")
    data = safetensors.torch.save(dict(tensors))
    hashes = {"sshs_model_hash": tensor_data_sha256(data), "sshs_legacy_hash": old_tensor_data_hash(data)}
    _write_whole(path, _with_metadata(data, {**metadata, **hashes}))


@dataclass(frozen=True)
class LoraFile:
    """A LoRA file that was read: its tensors, its metadata, and rank and alpha by module key."""

    path: Path
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    ranks: Mapping[str, int]
    alphas: Mapping[str, float]


def load_network_file(path: Path) -> LoraFile:
    """Read a LoRA file. A module without alpha has the alpha that equals its rank, as everywhere.

    Raises ``CheckpointError`` if it is missing, damaged or no LoRA.
    """
    file = read_checkpoint(path)
    if not is_lora(file.shapes):
        raise CheckpointError(f"{path} is not a LoRA: it has no tensors such as …lora_down.weight. Choose a LoRA file.")
    ranks = {key.removesuffix(".lora_down.weight"): shape[0] for key, shape in file.shapes.items()
             if key.endswith(".lora_down.weight")}
    alphas = {module: float(file.tensors[f"{module}.alpha"]) if f"{module}.alpha" in file.tensors else float(rank)
              for module, rank in ranks.items()}
    return LoraFile(path, file.tensors, file.metadata, ranks, alphas)


def _with_metadata(data: bytes, metadata: Mapping[str, str]) -> list[bytes | memoryview]:
    """The pieces of a .safetensors file: ``data`` with another header, its metadata sorted by key.

    The library writes them in random order, so the same run would give another file every time.
    """
    end = header_end(data)
    header = json.loads(data[8:end])
    tensors = {key: header[key] for key in sorted(header, key=lambda key: header[key]["data_offsets"])}
    text = json.dumps({"__metadata__": dict(sorted(metadata.items())), **tensors}, separators=(",", ":"),
                      ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT_BYTES)
    return [len(text).to_bytes(8, "little"), text, memoryview(data)[end:]]


def _write_whole(path: Path, pieces: list[bytes | memoryview]) -> None:
    # the webui lists by ending, so the half-written file must not have a LoRA's
    temporary = path.with_name(f".{path.stem[:100]}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _make_rename_durable(path.parent)
    except OSError as problem:
        raise _cannot_save(path, problem, sum(len(piece) for piece in pieces)) from problem
    finally:
        temporary.unlink(missing_ok=True)


def _make_rename_durable(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows cannot open a folder; its rename is journalled
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cannot_save(path: Path, problem: OSError, size_bytes: int) -> RunError:
    megabytes = size_bytes / 1e6
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunError(f"The disk is full: {path} needs {megabytes:.1f} MB. Free some space or choose another folder. "
                        "Nothing that was saved before is lost.")
    if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return RunError(f"{path} cannot be written: the folder {path.parent} does not allow it ({problem.strerror}). "
                        "Change its permissions or choose another folder.")
    return RunError(f"{path} cannot be written: {problem.strerror or problem}. Choose another folder.")
