"""Reads weights from a torch pickle (.ckpt, .pt) without letting the file run code.

``torch.load(weights_only=True)`` does the same, but refuses the original SD 1.x files because of the training state
they contain, and in torch 2.1 for further reasons. Here such leftovers become inert objects, everything that makes up
a tensor is allowed, and any other name in the pickle is an error.
"""

from __future__ import annotations

import pickle
import struct
import sys
import tarfile
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import torch
import torch._utils as rebuild

# Errors raised by unpickling a truncated file or one that is not a pickle
DAMAGE = (pickle.UnpicklingError, RuntimeError, OSError, EOFError, LookupError, ValueError, AttributeError, TypeError,
          AssertionError, ArithmeticError, MemoryError, struct.error, zipfile.BadZipFile, tarfile.TarError,
          zlib.error)

_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): rebuild._rebuild_parameter,
    ("torch", "Size"): torch.Size,
    ("torch.storage", "UntypedStorage"): torch.UntypedStorage,
}
if hasattr(rebuild, "_rebuild_tensor_v3"):  # newer dtypes; torch 2.1 has none of them
    _ALLOWED["torch._utils", "_rebuild_tensor_v3"] = rebuild._rebuild_tensor_v3
_LEFTOVERS = ("pytorch_lightning", "lightning", "lightning_fabric", "lightning_utilities", "numpy", "_codecs",
              "omegaconf", "typing", "collections", "argparse", "enum", "pathlib", "datetime")
_HARMLESS_BUILTINS = ("set", "frozenset", "list", "dict", "tuple", "int", "float", "bool", "str", "complex",
                      "bytearray", "object", "slice", "range")


class ForbiddenName(pickle.UnpicklingError):
    """The pickle refers to a name that is neither a weight nor a known leftover of training."""


class Inert:
    """A placeholder for an object that is not a weight: accepts every operation of the pickle and does nothing."""

    def __init__(self, *ignored: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        """Accept an item like a list."""

    def extend(self, items: Any) -> None:
        """Accept items like a list."""

    def add(self, item: Any) -> None:
        """Accept an item like a set."""


class BoundedUnpickler(pickle._Unpickler):
    """Python's own unpickler; C's allocates the memo size that a pickle claims: six bytes can request 64 GB."""

    def __init__(self, file: BinaryIO, **options: Any) -> None:
        super().__init__(file, **options)  # type: ignore[arg-type]
        readline = file.readline

        def whole_line() -> bytes:
            line = readline()
            if not line.endswith(b"\n"):
                raise pickle.UnpicklingError("the file ends in the middle of a name")
            return line

        self._file_readline = whole_line


class Unpickler(BoundedUnpickler):
    """Returns weights and inert objects only. Raises ``ForbiddenName`` for any other name."""

    def find_class(self, module: str, name: str) -> Any:
        """The object that the pickle's ``module.name`` refers to."""
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if module == "torch" and name.endswith("Storage") and isinstance(getattr(torch, name, None), type):
            return getattr(torch, name)
        builtin = module in ("builtins", "__builtin__") and name in _HARMLESS_BUILTINS
        if builtin or module.split(".")[0] in _LEFTOVERS:
            return type(name, (Inert,), {})
        raise ForbiddenName(f"{module}.{name}")


def load(file: BinaryIO, *, encoding: str = "ASCII") -> Any:
    """``pickle.load`` with the ``Unpickler`` above; torch calls it for files from before version 1.6."""
    return Unpickler(file, encoding=encoding).load()


def load_weights(path: Path) -> Any:
    """The content of the pickle ``path``, with memory-mapped tensors if it was written by torch 1.6 or later.

    Raises ``ForbiddenName`` if it contains anything but weights, one of ``DAMAGE`` if it cannot be read.
    """
    with path.open("rb") as file:
        is_tar = tarfile.is_tarfile(file)
    if is_tar:  # written by torch before 0.1.10; torch still unpacks such files into a folder
        raise ForbiddenName("a tar archive")
    # weights_only must be off to pass a custom unpickler, which is the stricter one
    return torch.load(str(path), map_location="cpu", mmap=zipfile.is_zipfile(path), weights_only=False,
                      pickle_module=sys.modules[__name__])
