"""Singular vectors of a curve, stored in its run's folder so that saving need not compute them again.

    factors.bin    for each layer the singular vectors of its shorter side, (side, ranks), float32
    factors.json   ``key`` (which files they belong to), and for each layer their offset, shape and the values

Only one run has them at a time, at most ``MOST_BYTES``; they are deleted with the run's folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import WriteError
from ..files.atomic import write_atomically
from ..files.confine import open_file
from ..files.json_file import DamagedFileError, read_object
from ..files.writing import writing
from .svd import Decomposed, from_vectors

MOST_BYTES = 1 << 30
_MOST_RANKS = 256
_INDEX, _DATA = "factors.json", "factors.bin"
_MOST_INDEX_BYTES = 64 << 20
_WIDTH = 4
_ENERGY_TOLERANCE = 1e-3


def key_of(*hashes: str) -> str:
    """A key for files with these hashes, in this order."""
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


class FactorWriter:
    """Writes the vectors of the layers to ``folder``, one after the other; ``close`` makes them usable."""

    def __init__(self, folder: Path, key: str, sides: Sequence[int]) -> None:
        """``sides`` are the shorter sides of all layers, which determine how many ranks fit.

        Deletes what earlier runs beside ``folder`` have stored. Raises ``WriteError``.
        """
        self.ranks = min(_MOST_RANKS, MOST_BYTES // (_WIDTH * max(1, sum(sides))))
        self._folder, self._key = folder, key
        self._layers: dict[str, dict[str, Any]] = {}
        for other in (*folder.parent.glob(f"*/{_INDEX}"), *folder.parent.glob(f"*/{_DATA}")):
            with contextlib.suppress(OSError):  # in use by another curve, which then keeps it
                other.unlink()
        with writing(folder / _DATA):
            self._file = (folder / _DATA).open("wb")

    def keep(self, layer: str, parts: Decomposed) -> None:
        """Store as many ranks of ``parts`` as fit. Raises ``WriteError``."""
        vectors = parts.shorter[:, :self.ranks].cpu().contiguous()
        with writing(self._folder / _DATA):
            begin = self._file.tell()
            self._file.write(vectors.numpy().tobytes())
        self._layers[layer] = {"begin": begin, "shape": list(vectors.shape), "values": parts.values.tolist()}

    def close(self) -> None:
        """Raises ``WriteError``."""
        with writing(self._folder / _DATA):
            self._file.close()
        write_atomically(self._folder / _INDEX, json.dumps({"key": self._key, "layers": self._layers}), durable=False)

    def give_up(self) -> None:
        """Delete what was stored so far."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            (self._folder / _DATA).unlink()


class Factors:
    """The vectors stored by a run."""

    def __init__(self, index: Path, layers: dict[str, dict[str, Any]]) -> None:
        self.run = index.parent.name
        self._data, self._layers = index.with_name(_DATA), layers

    def of(self, layer: str, change: Tensor, wanted: Callable[[Tensor], int]) -> Decomposed | None:
        """The decomposition of ``change`` (out, in·k·k) with the number of ranks that ``wanted`` selects from its
        values.

        ``None`` if fewer are stored for ``layer``, or they do not belong to ``change``.
        """
        try:
            entry = self._layers[layer]
            side, ranks = (int(size) for size in entry["shape"])
            with open_file(self._data) as file:
                file.seek(int(entry["begin"]))
                data = bytearray(file.read(_WIDTH * side * ranks))
            values = torch.tensor(entry["values"], dtype=torch.float32)
            vectors = torch.from_numpy(np.frombuffer(data, dtype=np.float32).reshape(side, ranks))
        except (KeyError, TypeError, ValueError, OSError):
            return None
        rank = wanted(values) if 0 < ranks <= len(values) else ranks + 1
        if side != min(change.shape) or rank > ranks or not torch.isfinite(vectors).all():
            return None
        parts = from_vectors(change, vectors[:, :rank].to(change.device), values.to(change.device))
        found, kept = (float(some.double().square().sum()) for some in (parts.reached, values[:rank]))
        return parts if math.isclose(found, kept, rel_tol=_ENERGY_TOLERANCE, abs_tol=1e-30) else None


def find_indexes(runs: Path) -> list[Path]:
    """The index files of runs in ``runs``, newest first."""
    return sorted(runs.glob(f"*/{_INDEX}"), reverse=True)


def open_factors(runs: Path, key: str) -> Factors | None:
    """The stored vectors of the files that ``key`` names, from any run in ``runs``; ``None`` if there are none."""
    for index in find_indexes(runs):
        try:
            content = read_object(index, _MOST_INDEX_BYTES)
        except (OSError, DamagedFileError):
            continue
        if content.get("key") == key and isinstance(content.get("layers"), dict):
            return Factors(index, content["layers"])
    return None


def open_writer(folder: Path | None, key: str, sides: Sequence[int]) -> FactorWriter | None:
    """A writer into the run's ``folder``; ``None`` if there is no folder or it is not writable."""
    if folder is None:
        return None
    try:
        return FactorWriter(folder, key, sides)
    except WriteError:
        return None
