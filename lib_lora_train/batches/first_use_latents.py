"""Pictures that are encoded when they are first trained on, so that a run need not wait for all of them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from .latents import LATENT_ALONE, Encoder, LatentStore, Looks, Wanted, encode_all
from .plan import TrainingPlan


class FirstUseLatents:
    """Latents of a plan's pictures, each encoded at its first look and then kept in memory.

    They are those that ``encode_all`` would have made at once, bit for bit: each picture is encoded on its own, and its
    noise follows from the picture alone. So a resumed run, which encodes in another order, trains on the same.
    """

    def __init__(self, plan: TrainingPlan, encoder: Encoder, wanted: Wanted = LATENT_ALONE) -> None:
        self._plan = plan
        self._encoder = encoder
        self._wanted = wanted
        self._store = LatentStore(encoder.scale_factor)

    def __len__(self) -> int:
        """How many pictures have been encoded so far."""
        return len(self._store)

    def looks(self, indices: Sequence[int], rng: random.Random | None) -> Looks:
        """See ``LatentStore.looks``.

        Raises ``DatasetError`` if a picture cannot be decoded any more, ``CheckpointError`` if the VAE gives NaN.
        """
        missing = [index for index in dict.fromkeys(indices) if index not in self._store]
        if missing:
            self._store.take(encode_all(self._plan, self._encoder, wanted=self._wanted, pictures=missing))
        return self._store.looks(indices, rng)
