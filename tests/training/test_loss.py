"""Noise, loss and its weights equal the formulas of their papers, written out here by hand."""

from __future__ import annotations

import pytest
import torch

from lib_lora_train.config.groups.loss import LossSettings
from lib_lora_train.models.noise import noise_schedule
from lib_lora_train.training.loss import batch_loss
from lib_lora_train.training.noise import add_noise, mix_noise
from lib_lora_train.training.randomness import generator_for

STEPS = 1000
BETAS = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, STEPS, dtype=torch.float64) ** 2
ALPHAS = torch.cumprod(1 - BETAS, dim=0)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def spread(values: torch.Tensor) -> torch.Tensor:
    return values.view(-1, 1, 1, 1)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_noisy_latents_and_target_follow_the_papers(prediction_type):
    latents, noise = draw(4, 4, 8, 8), draw(4, 4, 8, 8, seed=1)
    timesteps = torch.tensor([0, 250, 600, 999])
    made = mix_noise(latents, noise, timesteps, noise_schedule(prediction_type))
    signal, blur = spread(ALPHAS[timesteps].sqrt()), spread((1 - ALPHAS[timesteps]).sqrt())
    torch.testing.assert_close(made.noisy_latents.double(), signal * latents + blur * noise, atol=1e-5, rtol=0)
    wanted = noise.double() if prediction_type == "epsilon" else signal * noise - blur * latents
    torch.testing.assert_close(made.target.double(), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("gamma", [None, 1.0, 5.0, 20.0])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_the_loss_is_weighted_as_min_snr_says(prediction_type, gamma):
    prediction, target = draw(5, 4, 8, 8), draw(5, 4, 8, 8, seed=1)
    timesteps = torch.tensor([0, 100, 400, 700, 999])
    loss = batch_loss(prediction, target, timesteps, noise_schedule(prediction_type), LossSettings(min_snr_gamma=gamma))
    snr = ALPHAS[timesteps] / (1 - ALPHAS[timesteps])
    weight = torch.ones(5, dtype=torch.float64)
    if gamma is not None:
        weight = snr.clamp(max=gamma) / (snr if prediction_type == "epsilon" else snr + 1)
    wanted = (((prediction - target).double() ** 2).mean(dim=(1, 2, 3)) * weight).mean()
    torch.testing.assert_close(loss.double(), wanted, atol=1e-5, rtol=1e-4)


def test_the_noise_of_a_step_depends_on_the_seed_and_the_step_alone():
    schedule, latents = noise_schedule("epsilon"), draw(2, 4, 8, 8)

    def at(seed: int, step: int) -> torch.Tensor:
        return add_noise(latents, schedule, generator_for(seed, "noise", step, 0)).noisy_latents

    first = at(42, 7)
    torch.randn(100)  # whatever else is drawn in between
    assert torch.equal(first, at(42, 7))
    assert not torch.equal(first, at(42, 8))
    assert not torch.equal(first, at(43, 7))


def test_every_timestep_is_drawn():
    schedule = noise_schedule("epsilon")
    drawn = add_noise(torch.zeros(20000, 4, 1, 1), schedule, generator_for(0)).timesteps
    assert (int(drawn.min()), int(drawn.max())) == (0, STEPS - 1)
    assert abs(float(drawn.float().mean()) - 499.5) < 10
