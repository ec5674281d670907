"""The nearest other images of each image of a set, by their small images."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .small import LEAST_GAIN, MOST_GAIN

NEAREST = 8
_ROWS = 256


class Neighbors(NamedTuple):
    """The nearest others of each image, nearest first: their places and distances, (images, at most 8).

    Distances are root mean square differences, 0 to 255, mirrored or not.
    """

    places: NDArray[np.int64]
    distances: NDArray[np.float64]


def neighbors_of(small: NDArray[np.uint8], between: Callable[[], object]) -> tuple[Neighbors, Neighbors]:
    """The nearest others of each of ``small`` (images, 16, 16, 3): as they are, and at equal light.

    ``between`` is called repeatedly. Takes about half a second for 3000 images.
    """
    count = len(small)
    size = small[0].size
    means = small.reshape(count, size).mean(axis=1, dtype=np.float32)
    centred = small.astype(np.float32) - means[:, None, None, None]
    upright, mirrored = centred.reshape(count, size), centred[:, :, ::-1].reshape(count, size)
    squares = np.square(upright).sum(axis=1)
    kept = min(NEAREST, count - 1)
    found: tuple[list[Neighbors], list[Neighbors]] = ([], [])
    for start in range(0, count, _ROWS):
        between()
        rows = slice(start, min(start + _ROWS, count))
        alike = np.maximum(upright[rows] @ upright.T, mirrored[rows] @ upright.T)
        lit = np.minimum(_at_equal_light(alike, squares[None], squares[rows, None]),
                         _at_equal_light(alike, squares[rows, None], squares[None]))
        plain = squares[rows, None] + squares[None] - 2 * alike + size * (means[rows, None] - means[None]) ** 2
        for apart, parts in ((plain, found[0]), (lit, found[1])):
            apart[np.arange(len(apart)), np.arange(start, rows.stop)] = np.inf
            parts.append(_nearest_in(apart, kept, size))
    plain_ones, lit_ones = (Neighbors(*(np.concatenate(values) for values in zip(*parts, strict=True)))
                            for parts in found)
    return plain_ones, lit_ones


def _at_equal_light(alike: NDArray[np.float32], source: NDArray[np.float32],
                    seen: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared distances from products and squares of centred images, with the gain that brings ``source`` nearest."""
    gain = np.clip(alike / np.maximum(source, 1e-3), LEAST_GAIN, MOST_GAIN)
    found: NDArray[np.float32] = seen - 2 * gain * alike + gain ** 2 * source
    return found


def _nearest_in(apart: NDArray[np.float32], kept: int, size: int) -> Neighbors:
    nearest = np.argpartition(apart, kept - 1, axis=1)[:, :kept]
    found = np.take_along_axis(apart, nearest, axis=1)
    order = np.argsort(found, axis=1, kind="stable")
    distances = np.sqrt(np.maximum(np.take_along_axis(found, order, axis=1), 0) / size)
    return Neighbors(np.take_along_axis(nearest, order, axis=1), distances.astype(np.float64))
