"""The model of a run: the frozen base, the network on it, and their predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from diffusers import DDPMScheduler
from torch import Tensor

from ..models.load import BaseModel
from ..models.text_states import TextStates, encode_captions
from ..models.tokenizer import WINDOW, Tokenizer
from ..networks.create import Network
from ..pictures.buckets import Frame
from .known_states import KnownStates


def set_training(network: Network, *, on: bool) -> None:
    """Switch ``network`` between training and evaluation, only if needed, since it walks over all modules."""
    if network.training != on:
        network.train(on)


@dataclass(frozen=True)
class TrainedModel:
    """Base model, network and caption encoding. ``trains_text_encoder``: whether gradients reach the text encoders."""

    base: BaseModel
    network: Network
    tokenizer: Tokenizer
    accelerator: Accelerator
    noise_schedule: DDPMScheduler
    clip_skip: int
    max_token_length: int
    trains_text_encoder: bool
    known_states: KnownStates | None = None
    """Captions encoded before the first step, so that the text encoders are no longer needed."""

    @property
    def device(self) -> torch.device:
        """The UNet's device."""
        return self.accelerator.device

    def text_states(self, captions: Sequence[str]) -> TextStates:
        """The text encoders' output for ``captions``: hidden states (B, 77 or more, C) and, for SDXL, pooled ones.

        Encodes only as many windows of 75 tokens as the longest caption of the batch needs, which matches the webui's
        handling of a prompt of that length, and is a third of the work of always encoding 225.
        """
        length = max(self.length_of(caption) for caption in captions)
        if self.known_states is not None:
            return self.known_states.batch(captions, length, self.device)
        with nullcontext() if self.trains_text_encoder else torch.no_grad():
            return encode_captions(self.base.family, self.base.text_encoders, self.tokenizer, captions, length,
                                   self.clip_skip)

    def length_of(self, caption: str) -> int:
        """The tokens of ``caption`` that are encoded, in whole windows: 75, 150 or 225."""
        windows = math.ceil(max(1, self.tokenizer.count_tokens(caption)) / WINDOW)
        return min(windows * WINDOW, self.max_token_length)

    def predict(self, noisy_latents: Tensor, timesteps: Tensor, captions: Sequence[str],
                frames: Sequence[Frame] = ()) -> Tensor:
        """The UNet's prediction, (B, 4, h, w), in the run's precision. SDXL needs each image's size conditioning."""
        return self.predictor(captions, frames)(noisy_latents, timesteps)

    def predictor(self, captions: Sequence[str], frames: Sequence[Frame] = ()) -> Callable[[Tensor, Tensor], Tensor]:
        """``predict`` for several noisy versions of the same images, with their captions encoded once."""
        with self.accelerator.autocast():
            states = self.text_states(captions)

        def predict(noisy_latents: Tensor, timesteps: Tensor) -> Tensor:
            with self.accelerator.autocast():
                return self.predict_from_states(noisy_latents, timesteps, states, frames)

        return predict

    def predict_from_states(self, noisy_latents: Tensor, timesteps: Tensor, states: TextStates,
                            frames: Sequence[Frame] = ()) -> Tensor:
        """The UNet's prediction for text states already computed; call it under autocast."""
        dtype = self.base.unet.dtype
        conditioning = None
        if states.pooled is not None:
            # float32, since sizes of more than 2048 pixels are not exact in half precision
            sizes = torch.tensor(frames, dtype=torch.float32).to(noisy_latents.device, non_blocking=True)
            conditioning = {"text_embeds": states.pooled.to(dtype), "time_ids": sizes}
        return self.base.unet(noisy_latents.to(dtype), timesteps, states.hidden.to(dtype),
                              added_cond_kwargs=conditioning, return_dict=False)[0]

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Disable dropout within the context, so that the network predicts as its saved file will."""
        before = self.network.training
        set_training(self.network, on=False)
        try:
            yield
        finally:
            set_training(self.network, on=before)

    @contextmanager
    def base_alone(self) -> Iterator[None]:
        """Predict as the base model without the network, text encoders included, and without gradients."""
        strength = self.network.multiplier
        self.network.multiplier = 0.0
        try:
            with torch.no_grad():
                yield
        finally:
            self.network.multiplier = strength

    def bring(self) -> None:
        """Move everything that a step needs to the compute device."""
        for part in (self.base.unet, *self.base.text_encoders):
            self.base.bring(part, self.device)
        self.network.to(self.device)

    def put_away(self) -> None:
        """Move the base off the compute device; the VAE returns when an image is encoded or decoded."""
        for part in (self.base.unet, *self.base.text_encoders, self.base.vae):
            self.base.put_away(part)
