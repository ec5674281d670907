"""Measures images and captions of a set with the current model, until the time that it has is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from ..training.model import TrainedModel
from .features import agreements, features_of, gradient_of
from .images import MeasuredImages, Row
from .losses import losses_of

_ON_CPU, _ON_GPU = 16, 4
"""Images of a prediction. Without gradients they take less memory than the batch of a training step."""
_NEWEST = 0.3
"""How fast the pace follows its newest value."""
GRADIENT_COST = 4
"""A gradient takes about as long as this many predictions."""


class OutOfTime(Exception):
    """The time of a measurement is over."""


class Meter:
    """Predictions of ``model`` for ``images``; counts them, and knows how long one takes.

    ``between`` is called before each, when nothing is being computed; ``clock`` gives seconds at work.
    """

    def __init__(self, model: TrainedModel, images: MeasuredImages, seed: int, timesteps: Sequence[int],
                 between: Callable[[], object], clock: Callable[[], float]) -> None:
        self._model, self._images, self._seed, self._timesteps = model, images, seed, timesteps
        self._between, self._clock = between, clock
        self._size = _ON_CPU if model.device.type == "cpu" else _ON_GPU
        self._limit = float("inf")
        self.seconds_per_prediction = 0.0

    def limit(self, until: float) -> None:
        """Raise ``OutOfTime`` before a prediction that would end after ``until`` on the clock."""
        self._limit = until

    def losses(self, rows: Sequence[Row], noisiest: int = 0) -> Tensor:
        """The loss of each of ``rows`` at each timestep, or at the ``noisiest`` ones only: (rows, T), float32."""
        timesteps = self._timesteps[-noisiest:]
        found = torch.empty(len(rows), len(timesteps))
        for places, batch in self._images.batches(rows, self._size):
            with self._timed(len(places) * len(timesteps)):
                found[places] = losses_of(self._model, batch, batch.captions, timesteps, self._seed, self._between)
        return found

    def features(self, images: Sequence[int]) -> list[Tensor]:
        """The features of ``images``, without captions: (images, C) for each block of the UNet."""
        found: dict[int, list[Tensor]] = {}
        for places, batch in self._images.batches([Row(image, "") for image in images], self._size):
            with self._timed(len(places)):
                by_block = features_of(self._model, batch, self._seed, self._between)
            found |= {place: [features[row] for features in by_block] for row, place in enumerate(places)}
        return [torch.stack(rows) for rows in zip(*(found[place] for place in range(len(images))), strict=True)]

    def agreements(self, images: Sequence[int]) -> list[float]:
        """For each of ``images``, how far its gradient agrees with the sum of the others': a cosine."""
        found: dict[int, Tensor] = {}
        rows = [Row(image, self._images.caption(image)) for image in images]
        for places, batch in self._images.batches(rows, 1):
            with self._timed(GRADIENT_COST):
                found[places[0]] = gradient_of(self._model, batch, self._seed, self._between)
        return agreements([found[place] for place in range(len(images))])

    @contextmanager
    def _timed(self, predictions: int) -> Iterator[None]:
        """Note the pace of ``predictions``. Raises ``OutOfTime`` if they would take too long."""
        began = self._clock()
        if began + predictions * self.seconds_per_prediction > self._limit:
            raise OutOfTime
        yield
        pace = (self._clock() - began) / predictions
        usual = self.seconds_per_prediction or pace
        self.seconds_per_prediction = (1 - _NEWEST) * usual + _NEWEST * pace
