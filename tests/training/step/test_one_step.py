"""One step equals an independent formula, on independent code, from the same file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file

from lib_lora_train.config.groups.loss import LossSettings
from lib_lora_train.config.groups.network import NetworkSettings
from lib_lora_train.models.load import load_base
from lib_lora_train.models.noise import noise_schedule
from lib_lora_train.models.text_states import tokenize
from lib_lora_train.models.tokenizer import Tokenizer, find_vocabulary
from lib_lora_train.networks.create import create_network
from lib_lora_train.networks.save import save_network
from lib_lora_train.training.loss import batch_loss
from lib_lora_train.training.model import TrainedModel
from lib_lora_train.training.noise import mix_noise
from tests.training.step.reference import UNet, text_states, with_lora

CAPTIONS = ["pennyfox, red ball", "a quick brown fox jumps over the lazy dog"]
TIMESTEPS = torch.tensor([37, 810])
GAMMA = 5.0


@pytest.fixture
def model(checkpoint: Path) -> TrainedModel:
    """The tiny model with a LoRA that is no longer zero."""
    base = load_base(checkpoint, None, dtype=torch.float32, device="cpu")
    network = create_network(NetworkSettings(network_dim=4, network_alpha=3.0), base.unet, base.text_encoder, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return TrainedModel(base, network, Tokenizer(find_vocabulary()), Accelerator(cpu=True),
                        noise_schedule("epsilon"), clip_skip=2, max_token_length=75, trains_text_encoder=True)


def draws() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, 4, 8, 16, generator=generator), torch.randn(2, 4, 8, 16, generator=generator)


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
    latents, noise = draws()
    noisy = mix_noise(latents, noise, TIMESTEPS, model.noise_schedule)
    prediction = model.predict(noisy.noisy_latents, TIMESTEPS, CAPTIONS)
    loss = batch_loss(prediction, noisy.target, TIMESTEPS, model.noise_schedule, LossSettings(min_snr_gamma=GAMMA))
    loss.backward()

    lora = {key: value.detach().clone() for key, value in model.network.state_dict().items()}
    trained = [key for key in lora if not key.endswith(".alpha")]
    for key in trained:
        lora[key].requires_grad_()
    tokens = tokenize(model.tokenizer, CAPTIONS, 75)[:, 0]
    wanted = reference_loss(checkpoint, lora, tokens)
    wanted.backward()

    assert abs(float(loss.detach() - wanted.detach())) < 1e-5
    gradients = dict(model.network.named_parameters())
    assert set(gradients) == set(trained)
    skipped = {key for key in trained if "encoder_layers_2_" in key}  # CLIP skip 2 never reads the last layer
    assert {key for key in trained if gradients[key].grad is None} == skipped
    assert {key for key in trained if lora[key].grad is None} == skipped
    for key in set(trained) - skipped:
        torch.testing.assert_close(gradients[key].grad, lora[key].grad, atol=1e-5, rtol=0, msg=key)
        assert float(lora[key].grad.abs().max()) > 0, f"{key} takes no part"


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
