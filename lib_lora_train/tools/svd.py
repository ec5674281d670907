"""Singular values of a change, and rules for the ranks that are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

_OVERSAMPLED = 16
_ITERATIONS = 6
_NEGLIGIBLE = 1e-6  # float32 rounding error of an exact zero in a matrix product, relative to the largest value


@dataclass(frozen=True)
class Decomposed:
    """ΔW (out, in·k·k) = up · diag(values) · down, largest first, float32.

    ``up`` is (out, r) and ``down`` (r, in·k·k) with orthonormal columns and rows. ``rest`` is ‖ΔW − up · diag(values)
    · down‖², non-zero if only some singular values were computed.
    """

    up: Tensor
    values: Tensor
    down: Tensor
    rest: float = 0.0
    reached: Tensor = field(default_factory=lambda: torch.empty(0))
    """‖vectorᵀ · ΔW‖ for each vector of the shorter side; equals its singular value if the vector is correct."""

    @property
    def square(self) -> float:
        """‖ΔW‖²."""
        return float(self.values.double().square().sum()) + self.rest

    def tail(self, rank: int) -> float:
        """‖ΔW − its best approximation of ``rank``‖²."""
        return float(self.values[rank:].double().square().sum()) + self.rest

    @property
    def shorter(self) -> Tensor:
        """The singular vectors of the shorter side, (side, r)."""
        return self.up if self.up.shape[0] <= self.down.shape[1] else self.down.T

    def factors(self, rank: int) -> tuple[Tensor, Tensor]:
        """``up`` (out, rank) and ``down`` (rank, in·k·k) whose product is the best approximation.

        The values are multiplied into ``up``, as in sd-scripts.
        """
        return self.up[:, :rank] * self.values[:rank], self.down[:rank]


def decompose(change: Tensor, wanted: Callable[[Tensor], int] = len) -> Decomposed:
    """All singular values of ``change`` (out, in·k·k), and the vectors of the ranks that ``wanted`` selects from them.

    Uses the eigenvalues of its Gram matrix on the shorter side, in float64: as exact as float32 needs, and on a CPU
    several times faster than ``torch.linalg.svd`` of 1280 x 11520.
    """
    wide = change.shape[0] <= change.shape[1]
    short = change.double() if wide else change.double().T
    eigenvalues, vectors = torch.linalg.eigh(short @ short.T)
    values, vectors = eigenvalues.flip(0).clamp(min=0).sqrt(), vectors.flip(1)
    vectors = vectors[:, :wanted(values)]
    return _made(vectors, values, vectors.T @ short, wide=wide)


def from_vectors(change: Tensor, vectors: Tensor, values: Tensor) -> Decomposed:
    """As ``decompose``, from known singular ``vectors`` of the shorter side (side, r) and all ``values``."""
    wide = change.shape[0] <= change.shape[1]
    short, vectors = change.double() if wide else change.double().T, vectors.double()
    return _made(vectors, values, vectors.T @ short, wide=wide)


def decompose_product(up: Tensor, down: Tensor) -> Decomposed:
    """All singular values of ``up`` (out, r) · ``down`` (r, in·k·k), without forming the product."""
    left, upper = torch.linalg.qr(up.double())
    right, lower = torch.linalg.qr(down.double().T)
    inner, values, outer = torch.linalg.svd(upper @ lower.T, full_matrices=False)
    kept = max(1, int((values > values[0] * _NEGLIGIBLE).sum())) if len(values) else 0
    return Decomposed((left @ inner[:, :kept]).float(), values[:kept].float(), (outer[:kept] @ right.T).float())


def decompose_partly(change: Tensor, rank: int) -> Decomposed:
    """About the ``rank`` largest singular values of ``change``: randomized, Halko et al. 2011 (arXiv:0909.4061)."""
    wanted = min(rank + _OVERSAMPLED, *change.shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the same files give the same LoRA
        up, values, down = torch.svd_lowrank(change.float(), q=wanted, niter=_ITERATIONS)
    left = change.float() - up * values @ down.T
    return Decomposed(up, values, down.T, float(left.double().square().sum()))


def _made(vectors: Tensor, values: Tensor, scaled: Tensor, *, wide: bool) -> Decomposed:
    """Assemble from ``vectors`` of the shorter side and ``scaled``, the other side's times ``values``."""
    reached = scaled.norm(dim=1)
    others = scaled / reached[:, None].clamp(min=torch.finfo(scaled.dtype).tiny)
    up, down = (vectors, others) if wide else (others.T, vectors.T)
    return Decomposed(up.float(), values.float(), down.float(), reached=reached.float())


@dataclass(frozen=True)
class RankRule:
    """The number of ranks kept of a layer: at most ``most`` (``None``: all), fewer if another rule applies.

    The rules are those of sd-scripts' resize_lora.py, whose ranks are one above the minimum.
    """

    most: int | None
    sv_ratio: float | None = None
    sv_fro: float | None = None
    sv_cumulative: float | None = None

    @property
    def by_energy(self) -> bool:
        """Whether the rank is chosen per layer."""
        return not (self.sv_ratio is None and self.sv_fro is None and self.sv_cumulative is None)

    def rank(self, values: Tensor) -> int:
        """The rank of a layer with these singular values, largest first; at least 1."""
        rank = len(values)
        values = values.double()
        if not float(values[0]):
            return 1
        if self.sv_ratio is not None:
            rank = int((values > values[0] / self.sv_ratio).sum()) + 1
        elif self.sv_fro is not None:
            rank = _first_at_least(values.square(), self.sv_fro ** 2)
        elif self.sv_cumulative is not None:
            rank = _first_at_least(values, self.sv_cumulative)
        return max(1, min(rank, len(values), self.most or len(values)))


def _first_at_least(values: Tensor, share: float) -> int:
    reached = values.cumsum(0) / values.sum()
    return int(torch.searchsorted(reached, share)) + 2


def clamped(up: Tensor, down: Tensor, quantile: float) -> tuple[Tensor, Tensor]:
    """Both factors clamped to ± the ``quantile`` of all their values, as in sd-scripts.

    ``torch.quantile`` takes at most 16 million numbers, so the value is found by ``kthvalue`` with the same
    interpolation.
    """
    if quantile >= 1:
        return up, down
    every = torch.cat([up.flatten(), down.flatten()])
    place = quantile * (len(every) - 1)
    below, above = (float(every.kthvalue(int(number) + 1).values) for number in (place, min(place + 1, len(every) - 1)))
    limit = below + (above - below) * (place - int(place))
    return up.clamp(-limit, limit), down.clamp(-limit, limit)
