"""A tiny model with a LoRA, one step of it, and every gradient of that step against an independent formula's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from accelerate import Accelerator

from lib_lora_train.config.groups.loss import LossSettings
from lib_lora_train.config.groups.network import NetworkSettings
from lib_lora_train.models.load import load_base
from lib_lora_train.models.noise import noise_schedule
from lib_lora_train.models.prediction import EPSILON, Prediction
from lib_lora_train.models.tokenizer import Tokenizer
from lib_lora_train.networks.create import create_network
from lib_lora_train.pictures.buckets import Frame
from lib_lora_train.training.loss import batch_loss
from lib_lora_train.training.model import TrainedModel
from lib_lora_train.training.noise import mix_noise

CAPTIONS = ["pennyfox, red ball", "a quick brown fox jumps over the lazy dog"]
TIMESTEPS = torch.tensor([37, 810])


def model_on(path: Path, kind: str = EPSILON) -> TrainedModel:
    """The tiny model with a LoRA that is no longer zero."""
    base = load_base(path, None, dtype=torch.float32, device="cpu").predicting(Prediction(kind, "a test"))
    network = create_network(NetworkSettings(network_dim=4, network_alpha=3.0), base.unet, base.text_encoders, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return TrainedModel(base, network, Tokenizer.load(), Accelerator(cpu=True), noise_schedule(kind), clip_skip=2,
                        max_token_length=75, trains_text_encoder=True)


def draws() -> tuple[torch.Tensor, torch.Tensor]:
    """Latents and noise (2, 4, 8, 16)."""
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, 4, 8, 16, generator=generator), torch.randn(2, 4, 8, 16, generator=generator)


def check_gradients(model: TrainedModel, settings: LossSettings,
                    reference: Callable[[dict[str, torch.Tensor]], torch.Tensor],
                    unread: Callable[[str], bool], tolerance: Callable[[float], float],
                    frames: Sequence[Frame] = ()) -> tuple[float, float]:
    """The loss of a step and of ``reference``, which takes the LoRA's tensors, once all gradients are equal.

    ``unread`` names the layers that the model never reads, so that they have no gradient; ``tolerance`` is the greatest
    difference for a layer whose largest gradient it gets.
    """
    latents, noise = draws()
    noisy = mix_noise(latents, noise, TIMESTEPS, model.noise_schedule)
    prediction = model.predict(noisy.noisy_latents, TIMESTEPS, CAPTIONS, frames)
    loss = batch_loss(prediction, noisy.target, TIMESTEPS, model.noise_schedule, settings)
    loss.backward()
    lora = {key: value.detach().clone() for key, value in model.network.state_dict().items()}
    trained = {key for key in lora if not key.endswith(".alpha")}
    for key in trained:
        lora[key].requires_grad_()
    wanted = reference(lora)
    wanted.backward()
    gradients = {key: parameter.grad for key, parameter in model.network.named_parameters()}
    assert set(gradients) == trained
    without = {key for key in trained if unread(key)}
    assert {key for key in trained if gradients[key] is None} == without
    assert {key for key in trained if lora[key].grad is None} == without
    for key in trained - without:
        largest = float(lora[key].grad.abs().max())
        assert largest > 0, f"{key} takes no part"
        torch.testing.assert_close(gradients[key], lora[key].grad, atol=tolerance(largest), rtol=0, msg=key)
    return float(loss.detach()), float(wanted.detach())
