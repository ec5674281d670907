"""Cached facts about images: sizes from their headers, and marks (hash, colours, sharpness) from their pixels.

Stored in a cache file by modification time and size, so that a large dataset is measured only once.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import DatasetError
from ..files.atomic import write_atomically
from ..files.confine import open_inside
from ..files.json_file import parse
from ..files.reading import read_file
from ..files.writing import writing
from .duplicates.small import FINE_SIDE, fine_of, small_from, small_of
from .editing.borders import without_borders
from .images import PictureError, decoded, decoding_threads, read_header
from .listing import PictureFile

_VERSION = 4
_HEADER: tuple[tuple[type, ...], ...] = ((int,), (int,), (int,), (int,), (str,))
_MARKS: tuple[tuple[type, ...], ...] = ((int,), (int,), (int,), (str,), (int, float), (int, float), (str,))
_MOST_BYTES = 1 << 30
_HASH_SIDE = 8
_SHARPNESS_SIDE = 512
_BORDER_SIDE = 256
_GONE = "it cannot be opened, or is a link that leads out of the dataset's folder"


@dataclass(frozen=True)
class Header:
    """An image's upright size in pixels; both 0 if it cannot be used, with the ``reason``."""

    width: int
    height: int
    reason: str = ""


@dataclass(frozen=True)
class Marks:
    """Measurements of the pixels: ``difference_hash`` and ``small`` for similarity, ``sharpness`` (``sharpness_of``).

    ``small`` are the bytes of ``small_of``, by which copies are found, or empty. ``border`` is the share of the image
    that is bars or a frame of one color. An image that cannot be decoded has a ``reason`` and no measurements.
    """

    difference_hash: int
    small: bytes
    sharpness: float
    border: float = 0.0
    reason: str = ""


class PictureFacts:
    """Headers and marks of a dataset's images. One thread may measure while others query."""

    def __init__(self, folder: Path, cache_file: Path) -> None:
        self._folder = folder
        self._file = cache_file
        self._headers: dict[str, tuple[tuple[int, int], Header]] = {}
        self._marks: dict[str, tuple[tuple[int, int], Marks]] = {}
        self._load()

    def header(self, file: PictureFile) -> Header | None:
        """The size of an image; ``None`` if its current version has not been read."""
        state, header = self._headers.get(file.path, (None, None))
        return header if state == (file.modified_ns, file.size) else None

    def marks(self, file: PictureFile) -> Marks | None:
        """The marks of an image; ``None`` if its current version has not been measured."""
        state, marks = self._marks.get(file.path, (None, None))
        return marks if state == (file.modified_ns, file.size) else None

    def read_headers(self, files: Sequence[PictureFile]) -> int:
        """Read the sizes that are not cached; returns how many."""
        missing = [file for file in files if self.header(file) is None]
        for file in missing:
            self.read_header(file)
        if missing:
            self._keep(files)
        return len(missing)

    def read_header(self, file: PictureFile) -> None:
        """Read the size of one image if it is not cached; any thread may. It is stored with the next ones."""
        if self.header(file) is None:
            self._headers[file.path] = (file.modified_ns, file.size), _header(self._folder, file.path)

    def measure(self, files: Sequence[PictureFile], progress: Callable[[int, int], bool]) -> None:
        """Measure the images that are not cached; ``progress(done, total)`` returns whether to continue."""
        missing = [file for file in files if self.marks(file) is None]
        threads = decoding_threads()
        with ThreadPoolExecutor(threads) as pool:
            for start in range(0, len(missing), 4 * threads):
                if not progress(start, len(missing)):
                    break
                part = missing[start:start + 4 * threads]
                for file, marks in zip(part, pool.map(partial(_measured, self._folder), (file.path for file in part)),
                                       strict=True):
                    self._marks[file.path] = (file.modified_ns, file.size), marks
        if missing:
            self._keep(files)
        progress(len(missing), len(missing))

    def fine(self, file: PictureFile) -> Image.Image | None:
        """The image at the size that crops are compared at, read from its file; ``None`` if it cannot be read."""
        try:
            with open_inside(self._folder, file.path) as opened, \
                    decoded(self._folder / file.path, opened, at_least=FINE_SIDE) as picture:
                return fine_of(picture)
        except DatasetError:
            return None

    def _load(self) -> None:
        try:
            found = parse(read_file(self._file, _MOST_BYTES))
            if found["version"] != _VERSION:
                return
            headers = {path: _typed(item, _HEADER) for path, item in found["headers"].items()}
            marks = {path: _marks(_typed(item, _MARKS)) for path, item in found["marks"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return  # missing or damaged entries are measured again
        self._headers = {path: ((item[0], item[1]), Header(*item[2:])) for path, item in headers.items()}
        self._marks = marks

    def _keep(self, files: Iterable[PictureFile]) -> None:
        paths = {file.path for file in files}
        headers = {path: [*state, header.width, header.height, header.reason]
                   for path, (state, header) in list(self._headers.items()) if path in paths}
        marks = {path: [*state, mark.difference_hash, b64encode(mark.small).decode(), mark.sharpness, mark.border,
                        mark.reason]
                 for path, (state, mark) in self._marks.items() if path in paths}
        with writing(self._file):
            self._file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._file, json.dumps({"version": _VERSION, "headers": headers, "marks": marks},
                                                separators=(",", ":")))


def _typed(item: Any, kinds: tuple[tuple[type, ...], ...]) -> list[Any]:
    """``item``, if it is a list of these types without negative numbers. Raises ``ValueError``."""
    if not isinstance(item, list) or len(item) != len(kinds) or not all(
            isinstance(value, kind) and not isinstance(value, bool)
            and (not isinstance(value, (int, float)) or 0 <= value < 1 << 64)
            for value, kind in zip(item, kinds, strict=True)):
        raise ValueError(f"{str(item)[:100]} is not a record of an image")
    return item


def _marks(item: list[Any]) -> tuple[tuple[int, int], Marks]:
    """The state and the marks of a record. Raises ``ValueError`` if its small image is damaged."""
    modified_ns, size, difference, small, sharpness, border, reason = item
    data = b64decode(small, validate=True)
    if not reason:
        small_from(data)
    return (modified_ns, size), Marks(difference, data, sharpness, border, reason)


def _header(folder: Path, relative: str) -> Header:
    try:
        with open_inside(folder, relative) as file:
            header = read_header(folder / relative, file)
    except PictureError as problem:
        return Header(0, 0, problem.reason)
    except DatasetError:
        return Header(0, 0, _GONE)
    return Header(header.width, header.height)


def _measured(folder: Path, relative: str) -> Marks:
    try:
        with open_inside(folder, relative) as file, \
                decoded(folder / relative, file, at_least=_SHARPNESS_SIDE) as picture:
            return Marks(difference_hash(picture), small_of(picture).tobytes(), round(sharpness_of(picture), 4),
                         round(border_of(picture), 4))
    except PictureError as problem:
        return Marks(0, b"", 0.0, 0.0, problem.reason)
    except DatasetError:
        return Marks(0, b"", 0.0, 0.0, _GONE)


def difference_hash(picture: Image.Image) -> int:
    """A 64-bit hash: whether each pixel is brighter than its right neighbour, on a grid of 9 x 8.

    Similar images differ in few bits, whatever their size (N. Krawetz, "Kind of Like That", 2013).
    """
    small = picture.convert("L").resize((_HASH_SIDE + 1, _HASH_SIDE), Image.Resampling.BOX)
    grey = np.asarray(small, dtype=np.int16)
    bits: NDArray[np.bool_] = grey[:, :-1] > grey[:, 1:]
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def border_of(picture: Image.Image) -> float:
    """The share of ``picture`` that is bars or a frame of one color, 0 to 1. Measured at 256 pixels at most."""
    small = picture.copy()
    small.thumbnail((_BORDER_SIDE, _BORDER_SIDE), Image.Resampling.NEAREST)
    inner = without_borders(small)
    if inner is None:
        return 0.0
    return 1 - (inner.right - inner.left) * (inner.bottom - inner.top) / (small.width * small.height)


def sharpness_of(picture: Image.Image) -> float:
    """The sharpness of the sharpest edges: the steepest steps between neighbours, relative to the brightness range.

    1 for a step from the darkest to the brightest in one pixel; an image that was enlarged or is out of focus has none
    steeper than about 0.1. Plain areas do not lower the value. Measured at 512 pixels at most.
    """
    grey = picture.convert("L")
    grey.thumbnail((_SHARPNESS_SIDE, _SHARPNESS_SIDE), Image.Resampling.BOX)
    levels = np.asarray(grey, dtype=np.float32)
    spread = float(np.percentile(levels, 99) - np.percentile(levels, 1))
    if spread < 1:
        return 0.0
    steps = np.concatenate([np.abs(np.diff(levels, axis=0)).ravel(), np.abs(np.diff(levels, axis=1)).ravel()])
    return float(np.percentile(steps, 99.5)) / spread
