"""Copies among image files, measured once for each version of a file."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..images import PictureError, decoded, decoding_threads
from .find import copies_among
from .small import FINE_SIDE, Small, fine_of, small_of


class _Version(NamedTuple):
    """A file as it is now."""

    path: Path
    modified_ns: int
    size: int


def copies_in(paths: Sequence[Path]) -> list[list[int]]:
    """Groups of places in ``paths`` whose images are copies. One that cannot be read is like no other."""
    return [list(group) for group in _groups(tuple(_version(path) for path in paths))]


def fine_image(path: Path) -> Image.Image | None:
    """An image at the size that crops are compared at; ``None`` if it cannot be read."""
    version = _version(path)
    return None if version is None else _fine(version)


@lru_cache(maxsize=4)
def _groups(versions: tuple[_Version | None, ...]) -> tuple[tuple[int, ...], ...]:
    """Kept for a few sets, since the form asks after every change."""
    with ThreadPoolExecutor(decoding_threads()) as pool:
        found = list(pool.map(_small, versions))
    places = [place for place, small in enumerate(found) if small is not None]
    if len(places) < 2:
        return ()

    def fine(place: int) -> Image.Image | None:
        version = versions[places[place]]
        return None if version is None else _fine(version)

    groups = copies_among(np.stack([small for small in found if small is not None]), fine).groups
    return tuple(tuple(places[member] for member in group) for group in groups)


def _version(path: Path) -> _Version | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return _Version(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1 << 15)
def _small(version: _Version | None) -> Small | None:
    try:
        if version is not None:
            with decoded(version.path, at_least=FINE_SIDE) as image:
                return small_of(image)
    except PictureError:
        pass
    return None


@lru_cache(maxsize=256)
def _fine(version: _Version) -> Image.Image | None:
    try:
        with decoded(version.path, at_least=FINE_SIDE) as image:
            return fine_of(image)
    except PictureError:
        return None
