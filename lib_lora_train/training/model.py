"""The model of a run: the frozen base, the network on it, and what they answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from diffusers import DDPMScheduler
from torch import Tensor

from ..models.load import BaseModel
from ..models.text_states import encode
from ..models.tokenizer import WINDOW, Tokenizer
from ..networks.lora import Network


@dataclass(frozen=True)
class TrainedModel:
    """Base model, network and how captions are read. ``trains_text_encoder`` says whether it needs gradients."""

    base: BaseModel
    network: Network
    tokenizer: Tokenizer
    accelerator: Accelerator
    noise_schedule: DDPMScheduler
    clip_skip: int
    max_token_length: int
    trains_text_encoder: bool

    @property
    def device(self) -> torch.device:
        """Where the UNet computes."""
        return self.accelerator.device

    def text_states(self, captions: Sequence[str]) -> Tensor:
        """Text encoder states of ``captions``: (B, 77, 152 or 227, C).

        Only as many windows of 75 tokens are encoded as the longest caption of the batch needs, which is what the
        webui does with a prompt of that length, and a third of the work of always encoding 225.
        """
        longest = max(1, *(self.tokenizer.count_tokens(caption) for caption in captions))
        length = min(math.ceil(longest / WINDOW) * WINDOW, self.max_token_length)
        tokens = self.tokenizer.tokenize(captions, length).to(self.device)
        with nullcontext() if self.trains_text_encoder else torch.no_grad():
            return encode(self.base.text_encoder, tokens, self.clip_skip)

    def predict(self, noisy_latents: Tensor, timesteps: Tensor, captions: Sequence[str]) -> Tensor:
        """The UNet's answer, (B, 4, h, w), computed in the run's precision."""
        with self.accelerator.autocast():
            states = self.text_states(captions)
            return self.predict_from_states(noisy_latents, timesteps, states)

    def predict_from_states(self, noisy_latents: Tensor, timesteps: Tensor, states: Tensor) -> Tensor:
        """The UNet's answer to text states already computed; call it under autocast."""
        dtype = self.base.unet.dtype
        return self.base.unet(noisy_latents.to(dtype), timesteps, states.to(dtype), return_dict=False)[0]

    def move(self, device: torch.device) -> None:
        """Move everything that a step needs; on the CPU the accelerator's memory is given back."""
        self.base.unet.to(device)
        self.base.text_encoder.to(device)
        self.network.to(device)
        if device.type == "cpu":
            self.base.vae.to(device)  # it comes back when a picture is encoded or decoded
        if device.type == "cpu" and torch.cuda.is_available():
            torch.cuda.empty_cache()
