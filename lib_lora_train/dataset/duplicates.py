"""Pictures that are nearly the same, by their difference hashes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CLOSE_BITS = 4
"""Of 64. Rescaled or recompressed copies differ in 0 to 3; different pictures of one scene in 8 and more."""

_ROWS = 256


def groups_of_near_duplicates(hashes: Sequence[int], close: int = CLOSE_BITS) -> list[list[int]]:
    """Places in ``hashes`` (64 bits each) that hang together by steps of at most ``close`` bits; two or more in each.

    Every pair is compared: ten thousand take about a second.
    """
    values = np.array(hashes, dtype=np.uint64)
    parents = list(range(len(values)))
    for start in range(0, len(values), _ROWS):
        rows = values[start:start + _ROWS]
        distances = _bit_counts(rows[:, None] ^ values[None, start:])
        first, second = np.nonzero(distances <= close)
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            if one < other:
                _join(parents, start + one, start + other)
    groups: dict[int, list[int]] = {}
    for place in range(len(values)):
        groups.setdefault(_root(parents, place), []).append(place)
    return [group for group in groups.values() if len(group) > 1]


def _bit_counts(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """How many bits are set in each value, by adding neighbouring groups of bits in parallel."""
    one, two, four = (np.uint64(mask) for mask in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F))
    values = values - ((values >> np.uint64(1)) & one)
    values = (values & two) + ((values >> np.uint64(2)) & two)
    values = (values + (values >> np.uint64(4))) & four
    return (values * np.uint64(0x0101010101010101)) >> np.uint64(56)


def _root(parents: list[int], place: int) -> int:
    while parents[place] != place:
        parents[place] = parents[parents[place]]
        place = parents[place]
    return place


def _join(parents: list[int], one: int, other: int) -> None:
    first, second = sorted((_root(parents, one), _root(parents, other)))
    parents[second] = first
