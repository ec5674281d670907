"""The validation loss, on held-out images with fixed noise and timesteps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..batches.batches import Batch
from ..config.groups.loss import LossSettings
from .loss import picture_losses
from .model import TrainedModel
from .noise import mix_noise
from .randomness import generator_for

TIMESTEPS = (100, 300, 500, 700, 900)
"""Each image is evaluated at each of these, from nearly clean to nearly noise."""

_UNWEIGHTED = LossSettings(min_snr_gamma=None)


def _nothing() -> None:
    pass


def validation_loss(model: TrainedModel, batches: Sequence[Batch], seed: int,
                    between: Callable[[], object] = _nothing) -> float:
    """Mean unweighted loss over every image of ``batches`` at each of ``TIMESTEPS``; see ``validation_losses``."""
    return float(validation_losses(model, batches, seed, between).mean())


@torch.no_grad()
def validation_losses(model: TrainedModel, batches: Sequence[Batch], seed: int,
                      between: Callable[[], object] = _nothing) -> Tensor:
    """Unweighted loss of each image of ``batches`` at each of ``TIMESTEPS``: (images, timesteps), float64.

    The noise of an image and timestep follows only from ``seed`` and its position, so two calls differ only by what
    the network has learned in between. ``between`` is called before each batch, when nothing is being computed.
    """
    with model.evaluating():
        return torch.cat([_losses_of(model, batch, place, seed, between) for place, batch in enumerate(batches)])


def _losses_of(model: TrainedModel, batch: Batch, place: int, seed: int, between: Callable[[], object]) -> Tensor:
    schedule = model.noise_schedule
    latents = batch.latents.to(model.device)
    mask = None if batch.masks is None else batch.masks.to(model.device)
    predict = model.predictor(batch.captions, batch.frames)
    columns = []
    for timestep in TIMESTEPS:
        between()
        noise = torch.randn(latents.shape, generator=generator_for(seed, "validation", place, timestep))
        timesteps = torch.full((len(latents),), timestep, device=model.device)
        noisy = mix_noise(latents, noise.to(model.device), timesteps, schedule)
        prediction = predict(noisy.noisy_latents, timesteps)
        columns.append(picture_losses(prediction, noisy.target, timesteps, schedule, _UNWEIGHTED, mask=mask))
    return torch.stack(columns, dim=1).double().cpu()


def rounded(values: Sequence[float]) -> list[float]:
    """``values`` with as many digits as a loss is exact to; what is not a number stays so."""
    return [float(f"{value:.6g}") for value in values]
