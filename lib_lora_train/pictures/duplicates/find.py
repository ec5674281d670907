"""Which images of a set are copies of each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .cropped import apart_if_cropped
from .grouping import linked
from .neighbors import Neighbors, neighbors_of
from .small import apart

SAME_AS_ROUNDED = 0.25
"""Root mean square difference of images that are the same but for rounding, however alike the set is."""
CLOSER = 3.0
"""A copy is so many times closer than the other images near it usually are: icons may all be alike."""
_WORTH_A_LOOK = 30.0
_CLOSER_BEFORE = 1.25
"""What a crop must be closer than usual as it is, to be compared in detail."""
_COMPARED_IN_DETAIL = 2
"""Nearest others of an image that are looked at as crops of it."""
_PAIRS = 1024


class Copies(NamedTuple):
    """``groups`` of places of copies, the first first; the nearest others of all images, and how far these usually are.

    ``certain``: groups without crops that may as well be a figure that was moved on plain ground. ``usual`` is
    (images,): the median distance of those near an image that are no copies of it; infinite without any.
    """

    groups: list[list[int]]
    certain: list[list[int]]
    near: Neighbors
    usual: NDArray[np.float64]


def copies_among(small: NDArray[np.uint8], fine: Callable[[int], Image.Image | None],
                 between: Callable[[], object] = lambda: None) -> Copies:
    """The copies among at least two images, of which ``small`` is (images, 16, 16, 3).

    A copy is the same image: resized, recompressed, mirrored, without up to 5 % at a side, or brighter or darker. It is
    also far closer than other images near it, since in a set of icons, or a part of a set, all may be alike. ``fine``
    gives a fine image by its place, or ``None`` if it cannot be read now: then only crops of it are not found.
    ``between`` is called repeatedly.
    """
    near, lit = neighbors_of(small, between)
    pairs = _pairs_near(lit)
    everywhere, is_same = _compared(small, pairs, between)
    usual = _usual(near, linked(len(small), pairs[is_same].tolist()))
    pairs, everywhere = pairs[is_same], everywhere[is_same]
    known = set(map(tuple, pairs.tolist()))
    crops: list[tuple[tuple[int, int], float, bool]] = []
    for one, other in _maybe_cropped(lit, usual):
        if (one, other) not in known and (first := fine(one)) and (second := fine(other)):
            between()
            found = apart_if_cropped(first, second)
            if found.apart.is_same[0]:
                crops.append(((one, other), float(found.apart.everywhere[0]), not found.only_ground))
    is_certain: NDArray[np.bool_] = np.ones(len(pairs), dtype=bool)
    if crops:
        pairs = np.concatenate([pairs, [pair for pair, _, _ in crops]])
        everywhere = np.concatenate([everywhere, [distance for _, distance, _ in crops]])
        is_certain = np.concatenate([is_certain, [certain for _, _, certain in crops]])
        usual = _usual(near, linked(len(small), pairs.tolist()))
    bounds = np.maximum(usual[pairs].min(axis=1) / CLOSER, SAME_AS_ROUNDED)
    is_copy = everywhere <= bounds
    groups, certain = (linked(len(small), pairs[chosen].tolist()) for chosen in (is_copy, is_copy & is_certain))
    return Copies(groups, certain, near, usual)


def _pairs_near(lit: Neighbors) -> NDArray[np.int64]:
    """(pairs, 2), each pair once, the first place first."""
    rows, columns = np.nonzero(lit.distances <= _WORTH_A_LOOK)
    pairs = np.sort(np.stack([rows, lit.places[rows, columns]], axis=1), axis=1)
    return np.unique(pairs, axis=0)


def _compared(small: NDArray[np.uint8], pairs: NDArray[np.int64],
              between: Callable[[], object]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """How far the images of each pair are apart, and whether they are nearly the same; both (pairs,)."""
    everywhere, is_same = np.zeros(len(pairs)), np.zeros(len(pairs), dtype=bool)
    for start in range(0, len(pairs), _PAIRS):
        between()
        part = slice(start, start + _PAIRS)
        found = apart(small[pairs[part, 0]], small[pairs[part, 1]])
        everywhere[part], is_same[part] = found.everywhere, found.is_same
    return everywhere, is_same


def _usual(near: Neighbors, groups: list[list[int]]) -> NDArray[np.float64]:
    group_of = np.arange(len(near.places)) - len(near.places)
    for number, group in enumerate(groups):
        group_of[group] = number
    others = np.where(group_of[near.places] == group_of[:, None], np.nan, near.distances)
    known = ~np.isnan(others).all(axis=1)
    usual = np.full(len(others), np.inf)
    usual[known] = np.nanmedian(others[known], axis=1)
    return usual


def _maybe_cropped(lit: Neighbors, usual: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs to compare in detail, the first place first."""
    part = Neighbors(lit.places[:, :_COMPARED_IN_DETAIL], lit.distances[:, :_COMPARED_IN_DETAIL])
    pairs = _pairs_near(Neighbors(part.places, np.where(part.distances <= usual[:, None] / _CLOSER_BEFORE,
                                                        part.distances, np.inf)))
    found: list[tuple[int, int]] = [(int(one), int(other)) for one, other in pairs]
    return found
