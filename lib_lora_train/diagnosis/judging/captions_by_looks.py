"""Images that do not look as their captions say: another caption of the set, or none, explains them better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...runs.diagnosis.records import DiagnosisPlan, Measurement
from .expected import Expectation, Floats, expectations_of
from .robust import separation

_RATIO = (10.0,)
"""Captions say most of what an image shows: a caption that predicts something else is wrong, not noise."""


@dataclass(frozen=True)
class Doubt:
    """How much speaks against an image's own caption.

    ``odds``: the logarithm of how much more probable its features are with another caption, or with none, than with its
    own. ``as_wrong``: the share of wrong captions, by trying each image with those of all others, that have no more.
    ``separation``: how well that tells wrong captions of this set from its own.
    """

    odds: float
    as_wrong: float
    separation: float


def doubts_of(plan: DiagnosisPlan, measurements: Sequence[Measurement]) -> dict[int, Doubt]:
    """The doubt about the caption of each image with features."""
    found: dict[int, Doubt] = {}
    for images, expectation in expectations_of(plan, measurements, _RATIO):
        odds = odds_of(expectation)
        captions = np.array([plan.images[image].caption for image in images])
        wrong = np.sort(odds[captions[:, None] != captions[None]])
        own = np.diag(odds)
        as_wrong = np.searchsorted(wrong, own, side="right") / max(1, len(wrong))
        found |= {image: Doubt(float(own[place]), float(as_wrong[place]), separation(own, wrong))
                  for place, image in enumerate(images)}
    return found


def odds_of(expectation: Expectation) -> Floats:
    """For each image and each image's caption, the logarithm of how much more probable all others, or none, make it.

    An unknown caption is as probable as all others together.
    """
    logs = expectation.swapped()
    highest = logs.max(axis=1, keepdims=True)
    shares = np.exp(logs - highest)
    others = np.maximum(shares.sum(axis=1, keepdims=True) - shares, 0) / (len(logs) - 1)
    with np.errstate(divide="ignore"):
        alternatives = np.logaddexp(np.log(others) + highest, expectation.unknown()[:, None]) - np.log(2)
    found: Floats = alternatives - logs
    return found
