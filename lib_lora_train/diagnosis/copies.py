"""Copies among a run's images, and images that are more alike than is usual in the set."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..pictures.duplicates.find import SAME_AS_ROUNDED, copies_among
from ..pictures.duplicates.grouping import linked
from ..pictures.duplicates.neighbors import Neighbors
from .judging.robust import extreme_of, limit_of, spread_of
from .looks import Look

_CLOSER = 5.0
"""How many times closer than usual a copy is that is as suspicious as what is just an alarm."""
_ALIKE = 2.0
"""Images that are only alike are at least so many times closer than the nearest others usually are."""
_CERTAIN, _MOST_ALIKE = 2.0, 1.0
"""How much speaks for copies, at least if two images are the same, and at most if they are only alike."""


class AlikeGroup(NamedTuple):
    """Images by index, the first first; ``likeness``: how much speaks for copies of one image, certain above 1."""

    images: tuple[int, ...]
    likeness: float


def alike_groups(looks: Mapping[int, Look], fine: Callable[[int], Image.Image | None],
                 between: Callable[[], object]) -> tuple[AlikeGroup, ...]:
    """Groups of certain copies, see ``copies_among``, and of images that are only alike.

    Only alike are images that are closer than the closest should be by chance, and at most half as far apart as usual;
    the first of a group of copies stands for all of them there. ``fine`` and ``between`` are those of ``copies_among``.
    """
    known = sorted(looks)
    if len(known) < 2:
        return ()
    small = np.stack([looks[index].small for index in known])
    _, copies, near, usual = copies_among(small, lambda place: fine(known[place]), between)
    copied = {place: number for number, group in enumerate(copies) for place in group}
    groups = [(group, min(_of_copy(float(near.distances[place, 0]), float(usual[place])) for place in group))
              for group in copies]
    groups += _only_alike(near, copied, {group[0] for group in copies})
    return tuple(AlikeGroup(tuple(known[place] for place in group), likeness) for group, likeness in groups)


def _of_copy(distance: float, usual: float) -> float:
    """Above 1, by how many times closer than ``usual`` a copy is that is ``distance`` away."""
    if math.isinf(usual):  # there are no others
        return _CERTAIN
    closer = math.log(max(usual, SAME_AS_ROUNDED) / max(distance, SAME_AS_ROUNDED)) / math.log(_CLOSER)
    return max(closer, _CERTAIN) if distance <= SAME_AS_ROUNDED else max(closer, math.nextafter(1.0, 2.0))


def _only_alike(near: Neighbors, copied: Mapping[int, int], first: set[int]) -> list[tuple[list[int], float]]:
    """Groups of images that are no copies, by how much closer they are than the nearest others usually are."""
    count = len(near.places)
    distances = near.distances.copy()
    for place in range(count):
        for column, other in enumerate(near.places[place].tolist()):
            same = place in copied and copied[place] == copied.get(other)
            if same or (other in copied and other not in first):
                distances[place, column] = math.inf
    standing = [place for place in range(count) if place not in copied or place in first]
    allowed = set(standing)
    nearest = distances.min(axis=1)
    logs = np.log(np.maximum(nearest[standing], SAME_AS_ROUNDED))
    logs = logs[np.isfinite(logs)]
    if len(logs) < 3:
        return []
    usual, spread = float(np.median(logs)), spread_of(logs - np.median(logs))
    if spread <= 0:
        return []
    bound = math.exp(usual - max(extreme_of(len(logs)) * spread, math.log(_ALIKE)))
    pairs = [(one, other) for one, other in _pairs(Neighbors(near.places, distances), bound)
             if one in allowed and other in allowed]
    found = []
    for group in linked(count, pairs):
        closer = (usual - math.log(max(float(nearest[group].min()), SAME_AS_ROUNDED))) / spread
        found.append((group, min(_MOST_ALIKE, closer / limit_of(len(logs)))))
    return found


def _pairs(near: Neighbors, bound: float | NDArray[np.float64]) -> list[tuple[int, int]]:
    rows, columns = np.nonzero(near.distances <= bound)
    return list(zip(rows.tolist(), near.places[rows, columns].tolist(), strict=True))
