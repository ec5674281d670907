"""How far a LoRA moves predictions that have nothing to do with it: prompts without the trigger word."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..pictures.buckets import Frame
from ..training.model import TrainedModel
from ..training.noise import NoisyBatch, mix_noise
from ..training.randomness import generator_for

NEUTRAL_PROMPTS = ("", "house, tree, sky", "1boy, sitting, chair", "red apple, fruit")
"""Prompts about other things, which any checkpoint knows; the first is the empty caption."""
TIMESTEPS = (600, 900)
"""Where the composition of an image is decided."""
DRIFT_PREDICTIONS = len(NEUTRAL_PROMPTS) * len(TIMESTEPS)
"""How many predictions one measurement takes."""


class DriftMeter:
    """Predictions of the base for ``prompts`` on fixed noise, and how far the network moves them.

    ``size`` is the width and height of the images in pixels.
    """

    def __init__(self, model: TrainedModel, size: tuple[int, int], seed: int,
                 prompts: tuple[str, ...] = NEUTRAL_PROMPTS, between: Callable[[], object] = lambda: None) -> None:
        self._size, self._seed, self._prompts, self._between = size, seed, prompts, between
        with model.base_alone():
            self._base = self._predictions(model)
        errors = [(one - self._target(model, index, timestep)).square().mean()
                  for index, ((_, timestep), one) in enumerate(zip(self._cases(), self._base, strict=True))]
        self._error = float(torch.stack(errors).mean())

    @torch.no_grad()
    def drift_of(self, model: TrainedModel) -> float:
        """The mean square of the change of predictions, relative to the base's own mean square error.

        0 is the base; at 1 the LoRA changes prompts without the trigger word as much as the base is wrong.
        """
        changes = [(one - base).square().mean() for one, base in zip(self._predictions(model), self._base, strict=True)]
        return float(torch.stack(changes).mean()) / self._error

    @torch.no_grad()
    def _predictions(self, model: TrainedModel) -> list[Tensor]:
        """A prediction for each prompt and timestep, float32 on the CPU; (1, 4, h, w)."""
        found, frame = [], Frame.whole(*self._size)
        with model.evaluating():
            predictors = [model.predictor([prompt], [frame]) for prompt in self._prompts]
            for index, (prompt, timestep) in enumerate(self._cases()):
                self._between()
                at = torch.full((1,), timestep, device=model.device)
                noisy = self._mixed(model, index, timestep).noisy_latents.to(model.device)
                found.append(predictors[self._prompts.index(prompt)](noisy, at).float().cpu())
        return found

    def _target(self, model: TrainedModel, index: int, timestep: int) -> Tensor:
        return self._mixed(model, index, timestep).target

    def _mixed(self, model: TrainedModel, index: int, timestep: int) -> NoisyBatch:
        """Noise at ``timestep`` over an empty latent, so that only the prompt says what is in the image."""
        width, height = self._size
        noise = torch.randn((1, 4, height // 8, width // 8), generator=generator_for(self._seed, "drift", index))
        return mix_noise(torch.zeros_like(noise), noise, torch.tensor([timestep]), model.noise_schedule)

    def _cases(self) -> list[tuple[str, int]]:
        return [(prompt, timestep) for prompt in self._prompts for timestep in TIMESTEPS]
