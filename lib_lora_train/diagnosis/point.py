"""The measurements at one point of a run, the cheap ones first, until the time for them is over."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..runs.diagnosis.records import CaptionPair, DiagnosisPlan, Measurement
from .images import EMPTY, SWAP, CaptionTest, MeasuredImages, Row
from .looks import Look
from .meter import Meter, OutOfTime

CAPTION_TIMESTEPS = 2
"""Captions are compared at the noisiest timesteps: with little noise, the image itself says what it is."""
_NEIGHBOURS = 3
_COLORS, _EDGES, _COMPONENTS = 12, 8, 12
"""The most principal components of colors, edges and the model's features."""
_NOTHING = 1e-6
"""Components that are so much smaller than the first one are rounding errors."""
_PORTION = 16
"""Tests that are made together."""


class PointMeasures:
    """What was measured at a point so far."""

    def __init__(self, plan: DiagnosisPlan, images: MeasuredImages, meter: Meter, looks: Mapping[int, Look]) -> None:
        self._plan, self._images, self._meter, self._looks = plan, images, meter, looks
        count = len(plan.images)
        self._loss: list[tuple[float, ...] | None] = [None] * count
        self._empty: list[tuple[float, ...] | None] = [None] * count
        self._distance: list[float | None] = [None] * count
        self._agreement: list[float | None] = [None] * count
        self._features: list[tuple[float, ...] | None] = [None] * count
        self._swapped: list[CaptionPair] = []
        self._tags: list[CaptionPair] = []

    def measure_losses(self) -> None:
        """Measure the loss of all chosen images with their captions. Raises ``OutOfTime``."""
        rows = [Row(image, self._images.caption(image)) for image in self._plan.measured]
        for image, losses in zip(self._plan.measured, self._meter.losses(rows), strict=True):
            self._loss[image] = tuple(losses.tolist())

    def measure_distances(self, images: Sequence[int]) -> None:
        """Measure how far ``images`` are from their nearest neighbours, and their features. Raises ``OutOfTime``."""
        by_block = self._meter.features(images)
        rows = features_of([self._looks.get(image) for image in images], by_block).tolist()
        for image, distance, row in zip(images, distances(by_block), rows, strict=True):
            self._distance[image], self._features[image] = distance, tuple(row)

    def measure_agreements(self) -> None:
        """Measure how far the gradients of all chosen images agree. Raises ``OutOfTime``."""
        for image, agreement in zip(self._plan.measured, self._meter.agreements(self._plan.measured), strict=True):
            self._agreement[image] = agreement if math.isfinite(agreement) else None

    def make_tests(self, tests: Sequence[CaptionTest]) -> None:
        """Make ``tests`` of captions, a portion at a time. Raises ``OutOfTime``."""
        for start in range(0, len(tests), _PORTION):
            portion = tests[start:start + _PORTION]
            found = self._meter.losses([Row(test.image, self._images.caption_of(test)) for test in portion],
                                       CAPTION_TIMESTEPS)
            for test, losses in zip(portion, found, strict=True):
                self._take(test, losses)

    def measurement(self, step: int, epoch: int, seconds: float, left_out: Sequence[str]) -> Measurement:
        """The record of this point."""
        return Measurement(step, epoch, seconds, tuple(self._loss), tuple(self._empty), tuple(self._distance),
                           tuple(self._agreement), tuple(self._swapped), tuple(self._tags), tuple(left_out),
                           tuple(self._features) if any(self._features) else ())

    def _take(self, test: CaptionTest, losses: Tensor) -> None:
        own = self._loss[test.image]
        if test.kind == EMPTY:
            self._empty[test.image] = tuple(losses.tolist())
        elif own is not None:
            pair = (test.image, geometric_mean(own[-CAPTION_TIMESTEPS:]), geometric_mean(losses.tolist()))
            if test.kind == SWAP:
                self._swapped.append(CaptionPair(*pair, caption_of=test.caption_of))
            else:
                self._tags.append(CaptionPair(*pair, tag=test.tag))


def measure_point(measures: PointMeasures, distances_of: Sequence[int], tests: Sequence[CaptionTest], *,
                  agreement_due: bool) -> bool:
    """Measure what there is time for, features first; returns whether these or all losses are done."""
    features_done = False
    try:
        if distances_of:
            measures.measure_distances(distances_of)
            features_done = True
        measures.measure_losses()
    except OutOfTime:
        return features_done
    try:
        if agreement_due:
            measures.measure_agreements()
        measures.make_tests(tests)
    except OutOfTime:
        return True
    return True


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean, which gives every noise level the same weight."""
    return math.exp(sum(math.log(max(value, 1e-12)) for value in values) / len(values))


def distances(by_block: Sequence[Tensor]) -> list[float]:
    """How far each image is from its nearest others, relative to the usual distance; a geometric mean over the blocks.

    ``by_block``: features (images, C) of each block.
    """
    logs = [_nearest(features).clamp(min=1e-12).log() for features in by_block]
    relative = torch.stack([one - one.median() for one in logs]).mean(dim=0)
    return relative.exp().tolist()  # type: ignore[no-any-return]


def features_of(looks: Sequence[Look | None], by_block: Sequence[Tensor]) -> Tensor:
    """What tells images apart: the principal components of their colors, edges and features: (images, components).

    ``by_block``: features (images, C) of each block of the UNet. An image without a look has what is usual.
    """
    colors = _table([None if look is None else look.colors for look in looks])
    edges = _table([None if look is None else look.edges for look in looks])
    return torch.cat([components([colors], _COLORS), components([edges], _EDGES), components(by_block, _COMPONENTS)],
                     dim=1)


def _table(rows: Sequence[NDArray[np.float64] | None]) -> Tensor:
    known = [row for row in rows if row is not None]
    usual = np.mean(known, axis=0) if known else np.zeros(1)
    return torch.from_numpy(np.stack([usual if row is None else row for row in rows]))


def components(by_part: Sequence[Tensor], count: int) -> Tensor:
    """The first principal components of several features (images, C), each with the same weight: (images, count)."""
    parts = []
    for features in by_part:
        centred = features.double() - features.double().mean(dim=0)
        parts.append(centred / centred.square().sum(dim=1).mean().sqrt().clamp(min=1e-12))
    left, sizes, _ = torch.linalg.svd(torch.cat(parts, dim=1), full_matrices=False)
    return (left * sizes)[:, sizes > _NOTHING * sizes[0]][:, :count]


def _nearest(features: Tensor) -> Tensor:
    """The mean distance of each row from its nearest others, (images,)."""
    if len(features) < 2:
        return torch.ones(len(features))
    apart = torch.cdist(features, features)
    apart.fill_diagonal_(math.inf)
    return apart.sort(dim=1).values[:, :min(_NEIGHBOURS, len(features) - 1)].mean(dim=1)
