"""One step equals an independent formula, on independent code, from the same file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib_lora_train.config.groups.loss import LossSettings
from lib_lora_train.models.load import load_base
from lib_lora_train.models.text_states import tokenize
from lib_lora_train.networks.save import save_network
from lib_lora_train.training.model import TrainedModel
from tests.training.step.gradients import CAPTIONS, TIMESTEPS, check_gradients, draws, model_on
from tests.training.step.reference import UNet, text_states, with_lora

GAMMA = 5.0


@pytest.fixture(scope="session")
def checkpoint(whole_checkpoint: Path) -> Path:
    return whole_checkpoint


@pytest.fixture
def model(checkpoint: Path) -> TrainedModel:
    return model_on(checkpoint)


def reference_loss(checkpoint: Path, lora: dict[str, torch.Tensor], tokens: torch.Tensor) -> torch.Tensor:
    latents, noise = draws()
    state = with_lora(load_file(checkpoint), lora)
    betas = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000) ** 2
    alpha = torch.cumprod(1 - betas, 0)[TIMESTEPS]
    noisy = alpha.sqrt().view(2, 1, 1, 1) * latents + (1 - alpha).sqrt().view(2, 1, 1, 1) * noise
    prediction = UNet(state)(noisy, TIMESTEPS, text_states(state, tokens, clip_skip=2))
    snr = alpha / (1 - alpha)
    return (((prediction - noise) ** 2).mean(dim=(1, 2, 3)) * (snr.clamp(max=GAMMA) / snr)).mean()


def test_loss_and_every_gradient_equal_the_reference(model: TrainedModel, checkpoint: Path) -> None:
    tokens = tokenize(model.tokenizer, CAPTIONS, 75)[:, 0]
    loss, wanted = check_gradients(model, LossSettings(min_snr_gamma=GAMMA),
                                   lambda lora: reference_loss(checkpoint, lora, tokens),
                                   unread=lambda key: "encoder_layers_2_" in key,  # CLIP skip 2: never the last layer
                                   tolerance=lambda largest: 1e-5)
    assert abs(loss - wanted) < 1e-5


def test_a_saved_lora_merged_into_the_checkpoint_is_the_network_live(model, checkpoint, tmp_path) -> None:
    latents, _ = draws()
    with torch.no_grad():
        live = model.predict(latents, TIMESTEPS, CAPTIONS)
        save_network(tmp_path / "penny.safetensors", model.network, "float", {})
        merged = with_lora(load_file(checkpoint), load_file(tmp_path / "penny.safetensors"))
        save_file({key: value.contiguous() for key, value in merged.items()}, tmp_path / "merged.safetensors")
        tokens = tokenize(model.tokenizer, CAPTIONS, 75)[:, 0]
        alone = UNet(merged)(latents, TIMESTEPS, text_states(merged, tokens, clip_skip=2))
        base = load_base(tmp_path / "merged.safetensors", None, dtype=torch.float32, device="cpu")
        model.network.detach()
        states = base.text_encoder.text_model.final_layer_norm(
            base.text_encoder(tokens, output_hidden_states=True).hidden_states[-2])
        reloaded = base.unet(latents, TIMESTEPS, states).sample
    torch.testing.assert_close(live, alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(live, reloaded, atol=1e-5, rtol=0)
