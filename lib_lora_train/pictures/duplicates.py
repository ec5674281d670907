"""Detection of near-duplicate images by difference hash and colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CLOSE_BITS = 8
"""Of 64. Rescaled and recompressed copies of 80 drawings differed in at most 4."""

CLOSE_COLOURS = 4.0
"""Mean difference of 8 x 8 RGB pixels, 0 to 255. The same copies differed by at most 2, different drawings of nearly
the same outline by at least 7."""

_COLOUR_BYTES = 8 * 8 * 3

_ROWS = 256


def groups_of_near_duplicates(hashes: Sequence[int], colours: Sequence[bytes]) -> list[list[int]]:
    """Groups of indices into ``hashes`` (64 bits) and ``colours`` (192 bytes), linked by pairs of near-duplicates.

    Compares the hashes of all pairs, in about a second for ten thousand images, and the colours of close ones, since
    different objects on a plain background can have the same outline.
    """
    values = np.array(hashes, dtype=np.uint64)
    pixels = np.frombuffer(b"".join(colours), dtype=np.uint8).reshape(-1, _COLOUR_BYTES).astype(np.int16)
    parents = list(range(len(values)))
    for start in range(0, len(values), _ROWS):
        rows = values[start:start + _ROWS]
        distances = _bit_counts(rows[:, None] ^ values[None, start:])
        first, second = np.nonzero(np.triu(distances <= CLOSE_BITS, 1))
        same = np.abs(pixels[start + first] - pixels[start + second]).mean(axis=1) <= CLOSE_COLOURS
        for one, other in zip(first[same].tolist(), second[same].tolist(), strict=True):
            _join(parents, start + one, start + other)
    groups: dict[int, list[int]] = {}
    for place in range(len(values)):
        groups.setdefault(_root(parents, place), []).append(place)
    return [group for group in groups.values() if len(group) > 1]


def _bit_counts(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The number of set bits in each value, by parallel addition of neighbouring groups of bits."""
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
