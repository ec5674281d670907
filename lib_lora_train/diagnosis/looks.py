"""What an image file looks like, whatever the model sees in it: colors, edges, and a small image that finds copies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import DatasetError
from ..pictures.duplicates.small import Small, small_of
from ..pictures.images import decoded

_SIDE = 64
_LEVELS = 4
"""Levels of red, green and blue in the histogram of colors."""
_DIRECTIONS = 8
_CELLS = 2
"""Edges are counted in so many rows and columns of cells."""


class Look(NamedTuple):
    """``small`` is (16, 16, 3), 0 to 255, and finds copies, see ``copies``; ``colors`` (64,) and ``edges`` (32,)."""

    small: Small
    colors: NDArray[np.float64]
    edges: NDArray[np.float64]


def looks_of(paths: Sequence[Path], between: Callable[[], object]) -> dict[int, Look]:
    """The looks of the images in the files ``paths``, by index. Files that cannot be read now have none.

    ``between`` is called before each file is read.
    """
    found = {}
    for index, path in enumerate(paths):
        between()
        try:
            with decoded(path, at_least=_SIDE) as image:
                pixels = np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float64) / 255
                found[index] = Look(small_of(image), colors_in(pixels), edges_in(pixels))
        except DatasetError:
            continue
    return found


def colors_in(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """The square roots of the shares of ``image``, (height, width, 3) from 0 to 1, that have each color: (64,).

    A color between two levels counts for both, by its distance. The root makes small areas count, too.
    """
    levels = np.arange(_LEVELS)
    near = np.clip(1 - np.abs(image.reshape(-1, 3, 1) * (_LEVELS - 1) - levels), 0, 1)
    shares = np.einsum("pr,pg,pb->rgb", near[:, 0], near[:, 1], near[:, 2], optimize=True) / len(near)
    found: NDArray[np.float64] = np.sqrt(shares).ravel()
    return found


def edges_in(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """The square roots of how much edge there is in each direction, in each quarter of ``image``: (32,).

    Histograms of oriented gradients: Dalal and Triggs 2005, doi:10.1109/CVPR.2005.177.
    """
    down, right = np.gradient(image.mean(axis=2))
    strength = np.hypot(right, down)
    direction = (np.arctan2(down, right) % np.pi / np.pi * _DIRECTIONS).astype(int) % _DIRECTIONS
    counts = np.stack([strength * (direction == one) for one in range(_DIRECTIONS)])
    half = _SIDE // _CELLS
    cells = counts.reshape(_DIRECTIONS, _CELLS, half, _CELLS, half).mean(axis=(2, 4))
    found: NDArray[np.float64] = np.sqrt(cells).ravel()
    return found
