"""The tree of checkpoints: the nearest are joined first (average linkage, UPGMA; Sokal and Michener 1958)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Node = dict[str, Any]
"""``{"leaf": number}``, or ``{"distance", "children": [Node, Node]}``: the mean distance between its two sides."""


def tree_of(leaves: Sequence[int], distances: Sequence[Sequence[float]]) -> Node:
    """The tree of ``leaves``; ``distances`` is symmetric, in their order. Needs at least one leaf."""
    nodes: list[Node] = [{"leaf": leaf} for leaf in leaves]
    sizes = [1] * len(nodes)
    between = [list(map(float, row)) for row in distances]
    while len(nodes) > 1:
        nearest, one, other = min((between[one][other], one, other) for one in range(len(nodes))
                                  for other in range(one))
        joined = [_mean(between[one][place], sizes[one], between[other][place], sizes[other])
                  for place in range(len(nodes))]
        nodes[other] = {"distance": nearest, "children": [nodes[other], nodes[one]]}
        sizes[other] += sizes[one]
        for place, distance in enumerate(joined):
            between[other][place] = between[place][other] = distance
        between[other][other] = math.inf
        for rows in (nodes, sizes, between, *between):
            del rows[one]  # type: ignore[attr-defined]
    return nodes[0]


def _mean(first: float, count: int, second: float, other: int) -> float:
    return (first * count + second * other) / (count + other)
