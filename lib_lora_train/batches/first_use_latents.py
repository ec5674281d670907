"""Latents encoded on first use, so that a run can start before all images are encoded."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from .latents import LATENT_ALONE, EncodedImages, Encoder, LatentStore, Wanted, encode_all
from .plan import TrainingPlan


class FirstUseLatents:
    """Latents of a plan's images, each encoded on first use and then kept in memory.

    Bit-identical to those of ``encode_all``, since each image is encoded separately with noise seeded by its content.
    So a resumed run, which encodes in another order, trains on the same latents.
    """

    def __init__(self, plan: TrainingPlan, encoder: Encoder, wanted: Wanted = LATENT_ALONE,
                 when_complete: Callable[[], None] = lambda: None) -> None:
        """``when_complete`` is called once all images are encoded, so ``encoder`` is no longer needed."""
        self._plan = plan
        self._when_complete = when_complete
        self._encoder = encoder
        self._wanted = wanted
        self._store = LatentStore(encoder.scale_factor)

    def __len__(self) -> int:
        """The number of images encoded so far."""
        return len(self._store)

    def keep_encoder(self) -> None:
        """Do not call ``when_complete``: something else needs the encoder."""
        self._when_complete = lambda: None

    def latents_of(self, indices: Sequence[int], rng: random.Random | None) -> EncodedImages:
        """See ``LatentStore.latents_of``.

        Raises ``DatasetError`` if an image can no longer be decoded, ``CheckpointError`` if the VAE gives NaN.
        """
        missing = [index for index in dict.fromkeys(indices) if index not in self._store]
        if missing:
            self._store.take(encode_all(self._plan, self._encoder, wanted=self._wanted, pictures=missing))
            if len(self) == len(self._plan.pictures):
                self._when_complete()
        return self._store.latents_of(indices, rng)
