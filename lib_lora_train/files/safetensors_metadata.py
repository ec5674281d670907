"""Changing the metadata of a safetensors file: the header is rewritten, the tensors stay bit for bit."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import CheckpointError
from .atomic import remove_leftovers, write_whole
from .confine import open_file
from .json_file import DamagedFileError
from .reading import reason
from .safetensors_header import METADATA, MOST_HEADER_BYTES, read_safetensors_header

_CHUNK_BYTES = 1 << 20
_ALIGNMENT_BYTES = 8
_LENGTH_BYTES = 8
_NEWER_NS = 2_000_000_000  # FAT stores times in steps of two seconds


def change_metadata(path: Path, changes: Mapping[str, str | None]) -> None:
    """Set each key of ``changes`` in the metadata of ``path``, or remove it if the value is ``None``.

    The new file is written beside the old one, read back, compared (every tensor's name, type, shape and bytes), and
    renamed over it, so a complete file of that name exists at any time. Hashes of the tensors, such as
    ``sshs_model_hash``, stay valid. The webui reloads metadata when a file is newer, so its time always increases.
    Raises ``CheckpointError`` if the file is damaged or changes meanwhile, ``WriteError`` if it cannot be written; the
    file is then unchanged.
    """
    real = Path(os.path.realpath(path))  # a link stays a link
    before = _state(real)
    header, start = _header(real)
    metadata = header.get(METADATA) or {}
    metadata = {**metadata, **{key: value for key, value in changes.items() if value is not None}}
    metadata = {key: value for key, value in metadata.items() if changes.get(key, "") is not None}
    content = _packed({METADATA: metadata, **{key: value for key, value in header.items() if key != METADATA}})
    if len(content) > MOST_HEADER_BYTES:
        raise CheckpointError(f"The metadata of {path.name} would take {len(content) / 1e6:.0f} MB, and at most "
                              f"{MOST_HEADER_BYTES / 1e6:.0f} MB can be read again. Use shorter texts.")
    digests: list[bytes] = []

    def fill(file: BinaryIO) -> None:
        file.write(content)
        digests.append(_tensor_digest(real, start, file.write))

    def check(new: Path) -> None:
        _check_same_tensors(real, new, digests[0], len(content))
        shutil.copymode(real, new)
        os.utime(new, ns=(time.time_ns(), max(time.time_ns(), before.st_mtime_ns + _NEWER_NS)))
        if _stamp(_state(real)) != _stamp(before):
            raise CheckpointError(f"{path.name} was changed by another program meanwhile, so it was left as it is. "
                                  "Try again.")

    with contextlib.suppress(OSError):  # a leftover of a killed program does no harm
        remove_leftovers(real)
    write_whole(real, fill, before.st_size - start + len(content), check=check)


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the header of ``path`` as parsed JSON, and where the tensors begin. Raises ``CheckpointError``."""
    try:
        read_safetensors_header(path)  # checks every offset
        with open_file(path) as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            header: dict[str, Any] = json.loads(file.read(length), object_pairs_hook=_unique)
    except (OSError, ValueError) as problem:
        raise CheckpointError(f"{path.name} is damaged or no .safetensors file ({reason(problem)}), so it is left as "
                              "it is. Download or copy it again.") from problem
    return header, _LENGTH_BYTES + length


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise DamagedFileError("a name stands twice in its header")
    return found


def _packed(header: Mapping[str, Any]) -> bytes:
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT_BYTES)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text


def _check_same_tensors(old: Path, new: Path, digest: bytes, start: int) -> None:
    """Raise ``CheckpointError`` if ``new``, whose tensors begin at ``start``, does not hold the tensors of ``old``."""
    try:
        one, other = (read_safetensors_header(path).tensors for path in (old, new))
    except (OSError, DamagedFileError):
        one, other = {}, None
    moved = start - _header(old)[1]
    same = other is not None and list(one) == list(other) and all(
        (tensor.dtype, tensor.shape, tensor.begin + moved, tensor.end + moved) ==
        (other[name].dtype, other[name].shape, other[name].begin, other[name].end) for name, tensor in one.items())
    if not same or _tensor_digest(new, start, lambda chunk: None) != digest:
        raise CheckpointError(f"The copy of {old.name} did not come out the same, so the file was left as it is. Check "
                              "the disk.")


def _tensor_digest(path: Path, start: int, take: Callable[[bytes], object]) -> bytes:
    """Return the SHA-256 of everything after the header, passing each piece to ``take``. Raises ``CheckpointError``."""
    digest = hashlib.sha256()
    with open_file(path) as file:
        file.seek(start)
        while chunk := _read(file, path):
            digest.update(chunk)
            take(chunk)
    return digest.digest()


def _read(file: BinaryIO, path: Path) -> bytes:
    try:
        return file.read(_CHUNK_BYTES)
    except OSError as problem:
        raise CheckpointError(f"{path.name} cannot be read ({problem.strerror}), so it was left as it is. Check the "
                              "disk.") from problem


def _state(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as problem:
        raise CheckpointError(f"{path.name} cannot be read ({problem.strerror}). Choose a file that exists.") \
            from problem


def _stamp(state: os.stat_result) -> tuple[int, int, int]:
    return state.st_size, state.st_mtime_ns, state.st_ino
