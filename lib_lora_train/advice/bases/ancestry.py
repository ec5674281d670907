"""What follows for a checkpoint without a telling name from those that are near it."""

from __future__ import annotations

from collections.abc import Sequence

NEAR = 0.5
"""The largest distance at which a checkpoint takes over what another one says of itself."""
_CLEARLY = 0.7
"""How much nearer it has to be than the nearest one that says something else."""


def inferred(distances: Sequence[float | None], labels: Sequence[str]) -> int | None:
    """The number of the nearest checkpoint with a label, if it is near and clearly nearer than any with another one.

    ``distances`` are those of one checkpoint to all, ``None`` where they cannot be compared.
    """
    near = sorted((distance, number) for number, distance in enumerate(distances)
                  if distance is not None and labels[number])
    if not near or near[0][0] >= NEAR:
        return None
    distance, number = near[0]
    other = next((away for away, one in near if labels[one] != labels[number]), None)
    return number if other is None or distance < _CLEARLY * other else None
