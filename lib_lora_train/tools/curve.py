"""Size and error of a LoRA at each rank, before it is saved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

_RANKS = (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
_PER_LAYER_BYTES = 300  # names, shapes and offsets in the header, and alpha


@dataclass(frozen=True)
class LayerCurve:
    """One layer: its singular values, (out, in·k·k), the chosen rank and the remaining error.

    ``rest`` is ‖ΔW‖² less the squares of ``values``; ``lost`` is ‖ΔW − saved ΔW‖².
    """

    layer: str
    values: Tensor
    rest: float
    shape: tuple[int, int]
    rank: int
    lost: float

    def tail(self, rank: int) -> float:
        """‖ΔW − its best approximation of ``rank``‖²."""
        return float(self.values[rank:].double().square().sum()) + self.rest

    @property
    def square(self) -> float:
        """‖ΔW‖²."""
        return self.tail(0)

    def bytes(self, rank: int, width: int) -> int:
        """Size in the file at ``rank``, with numbers of ``width`` bytes."""
        return min(rank, *self.shape) * sum(self.shape) * width + _PER_LAYER_BYTES


@dataclass(frozen=True)
class Curve:
    """Size and error over all layers. ``width`` is the size of a number in the file in bytes."""

    layers: Sequence[LayerCurve]
    width: int

    @property
    def error(self) -> float:
        """‖ΔW − saved ΔW‖ / ‖ΔW‖."""
        return _share(sum(layer.lost for layer in self.layers), self._square)

    @property
    def bytes(self) -> int:
        """The approximate file size."""
        return sum(layer.bytes(layer.rank, self.width) for layer in self.layers)

    @property
    def _square(self) -> float:
        return sum(layer.square for layer in self.layers)

    def points(self) -> list[dict[str, float]]:
        """Rank, bytes and error with that rank for every layer, as far as the singular values are known."""
        known = max((len(layer.values) for layer in self.layers), default=0)
        ranks = sorted({*(rank for rank in _RANKS if rank < known), known, *(layer.rank for layer in self.layers)})
        return [self._point(rank) for rank in ranks if rank]

    def _point(self, rank: int) -> dict[str, float]:
        lost = sum(layer.tail(rank) for layer in self.layers)
        return {"rank": rank, "bytes": sum(layer.bytes(rank, self.width) for layer in self.layers),
                "error": _share(lost, self._square)}

    def table(self) -> str:
        """The points as lines for a terminal."""
        lines = [f"{'rank':>6} {'size':>10} {'error':>8}"]
        for point in self.points():
            lines.append(f"{int(point['rank']):>6} {point['bytes'] / 1e6:>7.1f} MB {100 * point['error']:>7.2f}%")
        return "\n".join(lines)

    def as_result(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {"error": self.error, "bytes": self.bytes, "curve": self.points(), "table": self.table(),
                "layers": [{"layer": layer.layer, "rank": layer.rank, "norm": math.sqrt(layer.square),
                            "error": _share(layer.lost, layer.square)} for layer in self.layers]}


def ranks_in_words(ranks: Sequence[int]) -> str:
    """``rank 16``, or ``ranks 2 to 31 (mean 12.5)``."""
    if not ranks:
        return "no layers"
    if min(ranks) == max(ranks):
        return f"rank {ranks[0]}"
    return f"ranks {min(ranks)} to {max(ranks)} (mean {sum(ranks) / len(ranks):.1f})"


def _share(lost: float, whole: float) -> float:
    return math.sqrt(max(0.0, lost) / whole) if whole > 0 else 0.0
