"""What the model itself sees in an image: its features inside the UNet, and the gradient that it asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from ..batches.batches import Batch
from ..config.groups.loss import LossSettings
from ..training.loss import picture_losses
from ..training.model import TrainedModel
from ..training.noise import NoisyBatch, mix_noise
from ..training.randomness import generator_for

FEATURE_TIMESTEP = 50
"""Nearly no noise: the features are those of the image. Diffusion features: Tang et al. 2023, arXiv:2306.03881."""
GRADIENT_TIMESTEP = 500
_DECODER_BLOCKS = 2
"""How many blocks of the decoder are compared, beside the encoder's and the middle one; the last ones see noise."""
_UNWEIGHTED = LossSettings(min_snr_gamma=None)
_SCALE = 1024.0
"""Keeps gradients in half precision from becoming 0; a cosine does not depend on it."""
_MOST_VALUES = 200_000
"""Values of a gradient that are kept, evenly from all parameters: enough for a cosine, and little memory."""


@torch.no_grad()
def features_of(model: TrainedModel, batch: Batch, seed: int, between: Callable[[], object]) -> list[Tensor]:
    """The mean over the image of the features of each of the UNet's blocks, without a caption: (B, C) for each block.

    The noise is the same for all images of a size, so that only the images differ.
    """
    between()
    with model.evaluating(), _watched(model) as seen:
        noisy = _noisy(model, batch, FEATURE_TIMESTEP, seed)
        model.predict(noisy.noisy_latents, noisy.timesteps, [""] * len(batch.captions), batch.frames)
    return [features.float().mean(dim=(2, 3)).cpu() for features in seen]


def gradient_of(model: TrainedModel, batch: Batch, seed: int, between: Callable[[], object]) -> Tensor:
    """The gradient of the mean loss of ``batch`` by the trained parameters, evenly thinned out: float32, on the CPU.

    The gradients that training accumulates are not touched, and neither are the parameters.
    """
    between()
    parameters = [parameter for parameter in model.network.parameters() if parameter.requires_grad]
    with model.evaluating(), torch.enable_grad():
        noisy = _noisy(model, batch, GRADIENT_TIMESTEP, seed)
        prediction = model.predict(noisy.noisy_latents, noisy.timesteps, batch.captions, batch.frames)
        masks = None if batch.masks is None else batch.masks.to(model.device)
        loss = picture_losses(prediction, noisy.target, noisy.timesteps, model.noise_schedule, _UNWEIGHTED,
                              mask=masks).mean()
        found = torch.autograd.grad(_SCALE * loss, parameters, allow_unused=True)
    every = max(1, sum(parameter.numel() for parameter in parameters) // _MOST_VALUES)
    return torch.cat([(torch.zeros_like(parameter) if gradient is None else gradient).flatten()[::every].float().cpu()
                      for parameter, gradient in zip(parameters, found, strict=True)])


def agreements(gradients: Sequence[Tensor]) -> list[float]:
    """The cosine between each gradient and the sum of all others; nan if either is 0."""
    total = torch.stack(list(gradients)).sum(dim=0)
    return [float(torch.dot(one, total - one) / (one.norm() * (total - one).norm())) for one in gradients]


def _noisy(model: TrainedModel, batch: Batch, timestep: int, seed: int) -> NoisyBatch:
    shape = batch.latents.shape[1:]
    noise = torch.randn(shape, generator=generator_for(seed, "diagnosis", timestep, *shape)).to(model.device)
    latents = batch.latents.to(model.device)
    at = torch.full((len(latents),), timestep, device=model.device)
    return mix_noise(latents, noise.expand_as(latents), at, model.noise_schedule)


@contextmanager
def _watched(model: TrainedModel) -> Iterator[list[Tensor]]:
    """The outputs of the blocks within the context, (B, C, h, w)."""
    seen: list[Tensor] = []

    def watch(_: torch.nn.Module, __: object, output: Tensor | tuple[Tensor, ...]) -> None:
        seen.append(output[0] if isinstance(output, tuple) else output)

    unet = model.base.unet
    blocks = (*unet.down_blocks, unet.mid_block, *unet.up_blocks[:_DECODER_BLOCKS])
    hooks = [block.register_forward_hook(watch) for block in blocks]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
