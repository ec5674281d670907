"""The loss of single images with any captions, on noise that is the same in every call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..batches.batches import Batch
from ..config.groups.loss import LossSettings
from ..training.loss import picture_losses
from ..training.model import TrainedModel
from ..training.noise import mix_noise
from ..training.randomness import generator_for

_UNWEIGHTED = LossSettings(min_snr_gamma=None)


def _nothing() -> None:
    pass


@torch.no_grad()
def losses_of(model: TrainedModel, batch: Batch, captions: Sequence[str], timesteps: Sequence[int], seed: int,
              between: Callable[[], object] = _nothing) -> Tensor:
    """The unweighted squared error of each image of ``batch`` at each of ``timesteps``: (B, T), float32, on the CPU.

    ``captions`` stand for those of the batch, one for each image. The noise of an image at a timestep follows from
    ``seed`` and the names of its folder and file: it is the same with another caption, at another epoch and in another
    batch.
    No other random state is touched. With masks, the error is a mean over the mask, as in training. ``between`` is
    called before each prediction, when nothing is being computed.
    """
    latents = batch.latents.to(model.device)
    masks = None if batch.masks is None else batch.masks.to(model.device)
    found = torch.empty(len(latents), len(timesteps))
    with model.evaluating():
        predict = model.predictor(captions, batch.frames)
        for column, timestep in enumerate(timesteps):
            between()
            noise = torch.stack([_noise_of(picture.path, latents.shape[1:], seed, timestep)
                                 for picture in batch.pictures])
            at = torch.full((len(latents),), timestep, device=model.device)
            noisy = mix_noise(latents, noise.to(model.device), at, model.noise_schedule)
            prediction = predict(noisy.noisy_latents, at)
            found[:, column] = picture_losses(prediction, noisy.target, at, model.noise_schedule, _UNWEIGHTED,
                                              mask=masks)
    return found


def _noise_of(image: Path, shape: torch.Size, seed: int, timestep: int) -> Tensor:
    place = f"{image.parent.name}/{image.name}"
    return torch.randn(shape, generator=generator_for(seed, "diagnosis", place, timestep))
