"""Hashes that identify a model file: those shown by the webui and those stored in LoRA metadata."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import CheckpointError
from ..files.confine import open_file
from ..files.safetensors_header import tensor_data_start

_CHUNK_BYTES = 1 << 20
_OLD_OFFSET_BYTES = 0x100000
_OLD_LENGTH_BYTES = 0x10000


@dataclass(frozen=True)
class ModelHashes:
    """Hashes of the base model's files; the VAE's are ``None`` if the checkpoint's own is used."""

    checkpoint_sha256: str
    checkpoint_old: str
    vae_sha256: str | None = None
    vae_old: str | None = None


def hashes_of(checkpoint: Path, vae: Path | None) -> ModelHashes:
    """Hashes of both files. Raises ``CheckpointError`` if one cannot be read."""
    if vae is None:
        return ModelHashes(file_sha256(checkpoint), old_short_hash(checkpoint))
    return ModelHashes(file_sha256(checkpoint), old_short_hash(checkpoint), file_sha256(vae), old_short_hash(vae))


def file_sha256(path: Path) -> str:
    """SHA-256 of the whole file as lowercase hexadecimal. Raises ``CheckpointError`` if it cannot be read."""
    try:
        with open_file(path) as file:
            return _digest(file)
    except OSError as problem:
        raise CheckpointError(f"{path} cannot be read: {problem.strerror}.") from problem


def old_short_hash(path: Path) -> str:
    """The eight digits by which the webui identified checkpoints before SHA-256, stored as ``ss_sd_model_hash``.

    Raises ``CheckpointError`` if the file cannot be read.
    """
    try:
        with open_file(path) as file:
            file.seek(_OLD_OFFSET_BYTES)
            return hashlib.sha256(file.read(_OLD_LENGTH_BYTES)).hexdigest()[:8]
    except OSError as problem:
        raise CheckpointError(f"{path} cannot be read: {problem.strerror}.") from problem


def tensor_data_sha256(data: bytes) -> str:
    """SHA-256 of the tensors of a .safetensors file, without its header: ``sshs_model_hash``.

    The same tensors give the same hash whatever the metadata (the webui's ``addnet_hash_safetensors``).
    """
    return hashlib.sha256(memoryview(data)[tensor_data_start(data):]).hexdigest()


def old_tensor_data_hash(data: bytes) -> str:
    """``sshs_legacy_hash``: like the webui's old short hash, counted from the start of the tensors."""
    begin = tensor_data_start(data) + _OLD_OFFSET_BYTES
    return hashlib.sha256(memoryview(data)[begin:begin + _OLD_LENGTH_BYTES]).hexdigest()[:8]


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
