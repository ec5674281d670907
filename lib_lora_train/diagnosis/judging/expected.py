"""How probable the features of an image are with its caption, with others, and without one of its tags.

Features are taken as a linear function of the tags and words of the captions, plus noise, both normally distributed (a
Gaussian process, Rasmussen and Williams 2006, chapters 2 and 5.4.2). Each image is predicted by the other images only;
all of these predictions follow from one inverse matrix. What is returned are logarithms of probabilities, without the
terms that are the same everywhere, so that only differences count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...runs.diagnosis.records import DiagnosisPlan, Measurement

_MEAN = 10.0
"""The variance of the mean of a feature before any image is seen: far more than that of the feature, which is 1."""
_PSEUDO = 2.0
"""Noise is estimated as if so many images more had been seen, with half the variance of a feature."""
_LEAST = 1e-9
_FEWEST = 5
_MOST = 800
"""More images are judged in several groups, since the time grows with the third power."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Part:
    """The features with one ratio of what captions explain to noise. n images, k features.

    ``own``: covariances of the captions (n, n); ``inverse``: of these and the noise; ``solved``: the inverse times the
    features; ``reach``: ``own`` times the inverse; ``known``: by how much the others reduce each variance.
    """

    ratio: float
    features: Floats
    noise: Floats
    own: Floats
    inverse: Floats
    solved: Floats
    reach: Floats
    known: Floats


class Expectation:
    """The features of images, (images, components), by their captions.

    ``ratios``: how much of a component captions may explain, relative to its noise; each takes the most probable one.
    """

    def __init__(self, tags: Sequence[Sequence[str]], features: Floats, ratios: Sequence[float]) -> None:
        items = [items_of(one) for one in tags]
        common = set.intersection(*items)
        self._columns = {item: column for column, item in enumerate(sorted(set().union(*items) - common))}
        words = np.array([[item in one for item in self._columns] for one in items], dtype=float).reshape(len(tags), -1)
        self._scale = float(words.sum(axis=1).mean()) or 1.0
        self._words = words / np.sqrt(self._scale)
        self._sizes = (self._words ** 2).sum(axis=1)
        spread = features.std(axis=0)
        self._features = (features - features.mean(axis=0))[:, spread > _LEAST] / spread[spread > _LEAST]
        self._parts = list(self._fitted(self._words @ self._words.T, ratios))
        self.own = self._log_of(np.arange(len(tags)), np.zeros(len(tags)), 0.0)
        """The logarithm of the probability of each image's features with its own caption: (images,)."""

    def swapped(self) -> Floats:
        """The logarithm of the probability of each image with each image's caption: (image, image of the caption)."""
        found = np.empty((len(self._sizes), len(self._sizes)))
        for image in range(len(found)):
            total = np.zeros(len(found))
            for part in self._parts:
                reach, own = part.reach[:, image], part.inverse[image, image]
                mean = part.own @ part.solved - np.outer(reach / own, part.solved[image])
                variance = part.ratio * self._sizes + _MEAN + 1 - part.known + reach ** 2 / own
                total += _log_normal(part.features[image] - mean, variance, part.noise)
            found[image] = total
        return found

    def unknown(self) -> Floats:
        """The logarithm of the probability of each image's features if nothing is known of its caption: (images,)."""
        count = len(self._features)
        away = self._features * count / (count - 1)
        ones = np.ones(self._features.shape[1])
        return _log_normal(away, np.full(count, 1 + 1 / count), ones)

    def changed(self, images: Sequence[int], before: Sequence[Sequence[str]], after: Sequence[Sequence[str]]) -> Floats:
        """The logarithm of the probability of each of ``images`` if its tags were ``after`` instead of ``before``."""
        places = defaultdict(list)
        for place, (old, new) in enumerate(zip(before, after, strict=True)):
            places[frozenset(items_of(new) - items_of(old)), frozenset(items_of(old) - items_of(new))].append(place)
        found = np.empty(len(images))
        for (gained, lost), group in places.items():
            more, less = (self._words[:, [self._columns[item] for item in one if item in self._columns]]
                          for one in (gained, lost))
            change = (more.sum(axis=1) - less.sum(axis=1)) / np.sqrt(self._scale)
            size = (more.shape[1] - less.shape[1]) / self._scale
            found[group] = self._log_of(np.array(images)[group], change, size)
        return found

    def _fitted(self, similar: Floats, ratios: Sequence[float]) -> Iterator[_Part]:
        count = len(similar)
        own: list[Floats] = [ratio * similar + _MEAN for ratio in ratios]
        inverses = [np.asarray(np.linalg.inv(one + np.eye(count)), dtype=np.float64) for one in own]
        squares = np.array([np.einsum("nk,nm,mk->k", self._features, one, self._features, optimize=True)
                            for one in inverses])
        determinants = -np.array([np.linalg.slogdet(one)[1] for one in inverses])
        evidence = -determinants[:, None] / 2 - (count / 2 + _PSEUDO) * np.log((squares + _PSEUDO) / 2)
        best = evidence.argmax(axis=0)
        for index, (ratio, inverse) in enumerate(zip(ratios, inverses, strict=True)):
            chosen = best == index
            if chosen.any():
                features = self._features[:, chosen]
                reach = own[index] @ inverse
                noise: Floats = (squares[index, chosen] + _PSEUDO / 2) / (count + _PSEUDO)
                known: Floats = (reach * own[index]).sum(axis=1)
                yield _Part(ratio, features, noise, own[index], inverse, inverse @ features, reach, known)

    def _log_of(self, images: NDArray[np.int_], change: Floats, size: float) -> Floats:
        """For ``images`` whose captions change: by how much their covariance with each image's, and their own."""
        total = np.zeros(len(images))
        for part in self._parts:
            more = part.ratio * change
            solved = part.inverse @ more
            reach, own = part.reach[images, images] + solved[images], np.diag(part.inverse)[images]
            mean = part.own[images] @ part.solved + more @ part.solved - (reach / own)[:, None] * part.solved[images]
            known = part.known[images] + 2 * part.reach[images] @ more + more @ solved
            variance = part.ratio * (self._sizes[images] + size) + _MEAN + 1 - known + reach ** 2 / own
            total += _log_normal(part.features[images] - mean, variance, part.noise)
        return total


def expectations_of(plan: DiagnosisPlan, measurements: Sequence[Measurement],
                    ratios: Sequence[float]) -> list[tuple[list[int], Expectation]]:
    """The images with features, in groups, and what is expected of them; none with too few."""
    features = max((one.features for one in measurements), key=lambda rows: sum(row is not None for row in rows),
                   default=())
    images = [image for image, row in enumerate(features) if row]
    groups = -(-len(images) // _MOST)
    found = []
    for start in range(groups if len(images) >= _FEWEST else 0):
        group = images[start::groups]
        rows = np.array([features[image] for image in group])
        found.append((group, Expectation([plan.images[image].tags for image in group], rows, ratios)))
    return found


def items_of(tags: Sequence[str]) -> set[str]:
    """The tags and their words."""
    return {*tags, *(word for tag in tags for word in tag.split())}


def _log_normal(away: Floats, variance: Floats, noise: Floats) -> Floats:
    """``away``: (m, k) or (k,) from the mean; the variance of row m and component k is ``variance[m] * noise[k]``."""
    found: Floats = (-((away ** 2 / noise).sum(axis=-1) / variance + len(noise) * np.log(variance)
                       + np.log(noise).sum()) / 2)
    return found
