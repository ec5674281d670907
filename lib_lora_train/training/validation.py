"""The validation loss, on held-out images with fixed noise and timesteps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ..batches.batches import Batch
from ..config.groups.loss import LossSettings
from .loss import batch_loss
from .model import TrainedModel
from .noise import mix_noise
from .randomness import generator_for

TIMESTEPS = (100, 300, 500, 700, 900)
"""Each image is evaluated at each of these, from nearly clean to nearly noise."""

_UNWEIGHTED = LossSettings(min_snr_gamma=None)


def _nothing() -> None:
    pass


@torch.no_grad()
def validation_loss(model: TrainedModel, batches: Sequence[Batch], seed: int,
                    between: Callable[[], object] = _nothing) -> float:
    """Mean unweighted loss over every image of ``batches`` at each of ``TIMESTEPS``.

    The noise of an image and timestep follows only from ``seed`` and its position, so two calls differ only by what
    the network has learned in between. ``between`` is called before each batch, when nothing is being computed.
    """
    with model.evaluating():
        return _mean_loss(model, batches, seed, between)


def _mean_loss(model: TrainedModel, batches: Sequence[Batch], seed: int, between: Callable[[], object]) -> float:
    schedule = model.noise_schedule
    losses, pictures = 0.0, 0
    for place, batch in enumerate(batches):
        latents = batch.latents.to(model.device)
        for timestep in TIMESTEPS:
            between()
            noise = torch.randn(latents.shape, generator=generator_for(seed, "validation", place, timestep))
            timesteps = torch.full((len(latents),), timestep, device=model.device)
            noisy = mix_noise(latents, noise.to(model.device), timesteps, schedule)
            prediction = model.predict(noisy.noisy_latents, timesteps, batch.captions, batch.frames)
            mask = None if batch.masks is None else batch.masks.to(model.device)
            loss = batch_loss(prediction, noisy.target, timesteps, schedule, _UNWEIGHTED, mask=mask)
            losses += float(loss) * len(latents)
        pictures += len(latents)
    return losses / (pictures * len(TIMESTEPS))
