"""Statistics that a few odd values do not disturb: what is usual in a set is taken from the set itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

_NORMAL = 1.4826
"""The median absolute deviation of a normal distribution times this is its standard deviation."""
_LEAST_SHARE = 0.1
"""Deviations are at least this part of the mean deviation: half of the values may be the same."""
_CERTAIN = 3.0
"""How many deviations beyond the most extreme of ordinary values an alarm needs."""
_FEW = 4.0
"""The median deviation of few values is itself uncertain: with this many values, an alarm needs twice as much."""


def deviations(values: Mapping[int, float]) -> dict[int, float]:
    """How many standard deviations each of ``values`` is above their median, by median absolute deviation."""
    if len(values) < 3:
        return dict.fromkeys(values, 0.0)
    found = np.array(list(values.values()))
    away = found - np.median(found)
    spread = spread_of(away)
    return dict(zip(values, (away / spread if spread > 0 else np.zeros_like(away)).tolist(), strict=True))


def spread_of(away: NDArray[np.float64]) -> float:
    """The standard deviation of values, by the median of ``away``, their deviations from what is usual."""
    return max(_NORMAL * float(np.median(np.abs(away))), _LEAST_SHARE * float(np.abs(away).mean()))


def extreme_of(count: int) -> float:
    """About how many deviations from the mean the most extreme of ``count`` values of a normal distribution is."""
    return math.sqrt(2 * math.log(max(2, count)))


def limit_of(count: int) -> float:
    """The deviations beyond which one of ``count`` values raises an alarm."""
    return (extreme_of(count) + _CERTAIN) * (1 + _FEW / max(2, count))


def separation(right: NDArray[np.float64], wrong: NDArray[np.float64]) -> float:
    """How well a value tells wrong ones, which are higher, from right ones: 0 as by chance, 1 always.

    The root of the rank correlation, 2 AUC - 1.
    """
    below = np.searchsorted(np.sort(right), wrong, side="left")
    return math.sqrt(max(0.0, 2 * float(below.mean()) / len(right) - 1)) if len(right) and len(wrong) else 0.0


def suspicion_of(deviation: float, limit: float) -> float:
    """0 for what is usual, 0.5 at ``limit``, towards 1 beyond."""
    return 1 - 0.5 ** (max(0.0, deviation) / limit) if deviation > 0 else 0.0


def medians(values: Mapping[int, Sequence[float]]) -> dict[int, float]:
    """The median of each, without those that are empty."""
    return {key: float(np.median(found)) for key, found in values.items() if found}
