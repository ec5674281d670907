"""Distances between checkpoints, and which of them is a mixture of two others, from samples of their weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from .sample import Sample

_LEAST_SHARE, _MOST_SHARE = 0.05, 0.95
_MOST_RESIDUAL = 0.2
"""How much of a checkpoint's difference from the nearer parent may be left for it to count as their mixture."""
_SAME = 1e-6
_APART = 1e-3


@dataclass(frozen=True)
class Mixture:
    """``first`` · ``share`` + ``second`` · (1 − ``share``), up to ``residual`` of the difference.

    ``lowest`` and ``highest`` are the shares of the layers, which differ in a merge by blocks.
    """

    first: int
    second: int
    share: float
    lowest: float
    highest: float
    residual: float


@dataclass(frozen=True)
class Three:
    """The sum of three checkpoints times ``weights``, which add up to 1, up to ``residual`` of the difference."""

    parents: tuple[int, ...]
    weights: tuple[float, ...]
    residual: float


class Compared:
    """``samples`` of one layout, compared: ``unet`` and ``text`` are matrices of distances.

    The distance of two checkpoints is the mean over their layers of ‖a − b‖ / √((‖a‖² + ‖b‖²) / 2): 0 for the same
    weights, about 1.41 for weights that have nothing in common. If one is stored in fewer bits, the other is rounded to
    them first, so that a copy in another precision is at 0.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples
        self._grams, norms = _grams(samples, text=False)
        self.unet = self._rounded(_distances(self._grams, norms), text=False)
        self.text = self._rounded(_distances(*_grams(samples, text=True)), text=True)

    def mixture(self, index: int) -> Mixture | None:
        """The two others that checkpoint ``index`` lies between; ``None`` if there are none."""
        grams, size = self._grams, len(self._samples)
        if size < 3:
            return None
        own = grams[:, index, :]
        diagonal = grams.diagonal(dim1=1, dim2=2)
        to_others = (diagonal[:, index, None] + diagonal - 2 * own).clamp(min=0)  # (layers, others)
        apart = (diagonal[:, :, None] + diagonal[:, None, :] - 2 * grams).clamp(min=0)
        # ⟨c − b, a − b⟩ for a in rows, b in columns
        inner = own[:, :, None] - own[:, None, :] - grams + diagonal[:, None, :]
        shares = inner / apart.clamp(min=1e-30)
        left = (to_others[:, None, :] - inner.square() / apart.clamp(min=1e-30)).clamp(min=0).sum(0)
        whole = to_others.sum(0)
        residual = (left / torch.minimum(whole[:, None], whole[None, :]).clamp(min=1e-30)).sqrt()
        usual = shares.median(0).values
        possible = (usual > _LEAST_SHARE) & (usual < _MOST_SHARE) & (residual < _MOST_RESIDUAL)
        possible &= (self.unet > _SAME) & (self.unet[index] > _SAME)[:, None] & (self.unet[index] > _SAME)[None, :]
        if not bool(possible.any()):
            return None
        best = int(torch.where(possible, residual, math.inf).argmin())
        first, second = divmod(best, size)
        if usual[first, second] < 0.5:
            first, second = second, first
        among = shares[:, first, second].clamp(0, 1)
        return Mixture(first, second, float(usual[first, second]), float(among.quantile(0.1)),
                       float(among.quantile(0.9)), float(residual[first, second]))

    def of_three(self, index: int) -> Three | None:
        """The three others whose weighted sum checkpoint ``index`` is; ``None`` if there are none.

        Weights may be negative, as in an add-difference merge, where each of the four is a sum of the other three.
        """
        gram = self._grams.sum(0)
        usable = [one for one in range(len(gram)) if one != index and self.unet[index, one] > _SAME]
        found: list[Three] = []
        for parents in combinations(usable, 3):
            if min(float(self.unet[one, other]) for one, other in combinations(parents, 2)) < _APART:
                continue  # copies of each other
            weights, left = _sum_of(gram, index, parents)
            nearest = min(_square(gram, index, one) for one in parents)
            residual = math.sqrt(max(left, 0.0) / max(nearest, 1e-30))
            if residual < _MOST_RESIDUAL and min(map(abs, weights)) > _LEAST_SHARE:
                found.append(Three(parents, weights, residual))
        return min(found, key=lambda one: one.residual, default=None)

    def _rounded(self, distances: Tensor, *, text: bool) -> Tensor:
        """``distances`` with those between files of different precision measured in the coarser one."""
        for one, first in enumerate(self._samples):
            for other, second in enumerate(self._samples[:one]):
                if first.dtype != second.dtype:
                    distances[one, other] = distances[other, one] = _in_coarser(first, second, text=text)
        return distances


def _square(gram: Tensor, one: int, other: int) -> float:
    return float(gram[one, one] + gram[other, other] - 2 * gram[one, other])


def _sum_of(gram: Tensor, index: int, parents: tuple[int, ...]) -> tuple[tuple[float, ...], float]:
    """The weights of ``parents``, adding up to 1, that come nearest to ``index``, and the square of what is left."""
    rows = torch.tensor([*parents, index])
    steps = torch.zeros(3, 4, dtype=gram.dtype)  # from the last parent to the other two, and to ``index``
    steps[:, 2] = -1
    steps[0, 0] = steps[1, 1] = steps[2, 3] = 1
    inner = steps @ gram[rows][:, rows] @ steps.T
    solved = torch.linalg.lstsq(inner[:2, :2], inner[:2, 2:]).solution[:, 0]
    left = float(inner[2, 2] - solved @ inner[:2, 2])
    first, second = map(float, solved)
    return (first, second, 1 - first - second), left


def _in_coarser(first: Sample, second: Sample, *, text: bool) -> float:
    coarser = max(first.dtype, second.dtype, key=lambda dtype: torch.finfo(dtype).eps)
    found = []
    ours, theirs = (first.text, second.text) if text else (first.unet, second.unet)
    for name in _common([first, second], text=text):
        one, other = (value.to(coarser).double() for value in (ours[name], theirs[name]))
        whole = math.sqrt(float(one.square().sum() + other.square().sum()) / 2)
        found.append(float((one - other).norm()) / max(whole, 1e-30))
    return sum(found) / len(found) if found else math.nan


def _common(samples: Sequence[Sample], *, text: bool) -> list[str]:
    parts = [sample.text if text else sample.unet for sample in samples]
    return [name for name, value in parts[0].items()
            if all(name in part and part[name].shape == value.shape for part in parts)]


def _grams(samples: Sequence[Sample], *, text: bool) -> tuple[Tensor, Tensor]:
    """Inner products of each layer's values around their mean, (layers, n, n), and their squared norms, (layers, n)."""
    grams, norms = [], []
    for name in _common(samples, text=text):
        values = torch.stack([(sample.text if text else sample.unet)[name].double() for sample in samples])
        norms.append(values.square().sum(1))
        centered = values - values.mean(0)
        grams.append(centered @ centered.T)
    if not grams:
        return torch.zeros(0, len(samples), len(samples), dtype=torch.float64), \
            torch.zeros(0, len(samples), dtype=torch.float64)
    return torch.stack(grams), torch.stack(norms)


def _distances(grams: Tensor, norms: Tensor) -> Tensor:
    if not len(grams):
        return torch.full(grams.shape[1:], math.nan, dtype=torch.float64)
    diagonal = grams.diagonal(dim1=1, dim2=2)
    squares = (diagonal[:, :, None] + diagonal[:, None, :] - 2 * grams).clamp(min=0)
    found = (squares / ((norms[:, :, None] + norms[:, None, :]) / 2).clamp(min=1e-30)).sqrt().mean(0)
    found[found < _SAME] = 0
    return found
