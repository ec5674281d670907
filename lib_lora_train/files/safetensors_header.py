"""The one reader of safetensors headers: the content of a file, without torch and without reading tensors.

Format: 8 bytes with the header's length, the header as JSON, the tensors. Source: huggingface/safetensors, README.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .confine import open_file
from .json_file import DamagedFileError, parse

MOST_HEADER_BYTES = 32_000_000  # a third of the library's limit; parsed JSON takes many times its size
MOST_TENSORS = 100_000  # SDXL has 2,500, a LoRA of all its layers 6,000
_MOST_AXES = 8
_LENGTH_BYTES = 8
METADATA = "__metadata__"
_BYTES_OF_DTYPE = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1, "I16": 2, "U16": 2, "F16": 2,
                   "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8, "C64": 8}
_NUMBERS = {"F16": "<e", "F32": "<f", "F64": "<d", "I64": "<q", "I32": "<i", "I16": "<h", "I8": "<b", "U8": "<B"}


@dataclass(frozen=True)
class StoredTensor:
    """``shape`` and ``dtype`` of one tensor, and its byte range ``begin`` to ``end`` in the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class SafetensorsHeader:
    """The tensors of a file by name, in header order, and its metadata."""

    path: Path
    tensors: Mapping[str, StoredTensor]
    metadata: Mapping[str, str]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor by name."""
        return {name: tensor.shape for name, tensor in self.tensors.items()}

    def numbers(self, names: list[str]) -> dict[str, float]:
        """Return the values of tensors that are one finite number each.

        Raises ``OSError``, and ``DamagedFileError`` if one of them has more elements, or is NaN or infinite.
        """
        found: dict[str, float] = {}
        with open_file(self.path) as file:
            for name in names:
                tensor = self.tensors[name]
                if math.prod(tensor.shape) != 1 or tensor.dtype not in (*_NUMBERS, "BF16"):
                    raise DamagedFileError(f"{_short(name)} is a {tensor.dtype} of shape {list(tensor.shape)} where "
                                           "one number belongs")
                if tensor.begin == tensor.end:
                    raise DamagedFileError(f"{_short(name)} has no bytes")
                file.seek(tensor.begin)
                found[name] = _number(name, tensor.dtype, file.read(tensor.end - tensor.begin))
        return found


def read_safetensors_header(path: Path, *, whole: bool = True) -> SafetensorsHeader:
    """Return the header of ``path`` with every offset checked against the file.

    With ``whole`` false the tensors may be missing, so that sizes can be read from a part of a file. Raises
    ``OSError``, and ``DamagedFileError`` with a clause that says what is wrong.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        prefix = file.read(_LENGTH_BYTES)
        if len(prefix) < _LENGTH_BYTES:
            raise DamagedFileError(f"it is {size} bytes long and ends before its header")
        length = int.from_bytes(prefix, "little")
        if length > min(MOST_HEADER_BYTES, size - _LENGTH_BYTES):
            raise DamagedFileError(f"its header would be {length:,} bytes long, and the file has {size:,}")
        content = parse(file.read(length))
    if not isinstance(content, dict):
        raise DamagedFileError("its header is not an object")
    metadata = content.pop(METADATA, None) or {}
    if not isinstance(metadata, dict):
        raise DamagedFileError("its metadata is not an object")
    if len(content) > MOST_TENSORS:
        raise DamagedFileError(f"it names {len(content):,} tensors, and at most {MOST_TENSORS:,} are read")
    start = _LENGTH_BYTES + length
    tensors = {name: _tensor(name, entry, start, size if whole else None) for name, entry in content.items()}
    _refuse_overlaps(tensors)
    return SafetensorsHeader(path, tensors, {str(key): _text(value) for key, value in metadata.items()})


def tensor_data_start(data: bytes) -> int:
    """Return where the tensors of ``data``, a whole safetensors file, begin: after the header and its length."""
    return _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")


def _tensor(name: str, entry: Any, start: int, size: int | None) -> StoredTensor:
    if not isinstance(entry, dict):
        raise DamagedFileError(f"the entry of {_short(name)} is not an object")
    values: dict[str, Any] = entry
    dtype: Any = values.get("dtype")
    shape: Any = values.get("shape")
    offsets: Any = values.get("data_offsets")
    if not isinstance(dtype, str):
        raise DamagedFileError(f"{_short(name)} has no dtype")
    if not _are_counts(shape) or len(shape) > _MOST_AXES:
        raise DamagedFileError(f"{_short(name)} has the shape {_short(str(shape))}")
    if not _are_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1] \
            or (size is not None and start + offsets[1] > size):
        raise DamagedFileError(f"{_short(name)} lies at {_short(str(offsets))}, which is not in the file")
    held, needed = offsets[1] - offsets[0], math.prod(shape) * _BYTES_OF_DTYPE.get(dtype, 0)
    if dtype in _BYTES_OF_DTYPE and held and held != needed:  # no bytes at all: a description only
        raise DamagedFileError(f"{_short(name)} has {held:,} bytes, and its shape needs {needed:,}")
    return StoredTensor(dtype, tuple(shape), start + offsets[0], start + offsets[1])


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 48 for item in value)


def _refuse_overlaps(tensors: Mapping[str, StoredTensor]) -> None:
    end = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if tensor.begin < end and tensor.end > tensor.begin:
            raise DamagedFileError(f"{_short(name)} overlaps the tensor before it")
        end = max(end, tensor.end)


def _number(name: str, dtype: str, data: bytes) -> float:
    kind, padded = ("<f", b"\0\0" + data) if dtype == "BF16" else (_NUMBERS[dtype], data)
    value = float(struct.unpack(kind, padded)[0])
    if not math.isfinite(value):
        raise DamagedFileError(f"{_short(name)} is {value}")
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _short(name: str) -> str:
    return name if len(name) <= 100 else name[:100] + "…"
