"""Groups of what is linked in pairs."""

from __future__ import annotations

from collections.abc import Iterable


def linked(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The groups of two or more of ``count`` places that ``pairs`` link, directly or through others."""
    parents = list(range(count))
    for one, other in pairs:
        _join(parents, one, other)
    groups: dict[int, list[int]] = {}
    for place in range(count):
        groups.setdefault(_root(parents, place), []).append(place)
    return [group for group in groups.values() if len(group) > 1]


def _root(parents: list[int], place: int) -> int:
    while parents[place] != place:
        parents[place] = parents[parents[place]]
        place = parents[place]
    return place


def _join(parents: list[int], one: int, other: int) -> None:
    first, second = sorted((_root(parents, one), _root(parents, other)))
    parents[second] = first
