from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers.training_utils import compute_snr

from lib_lora_train.advice.no_effect import signal_to_noise
from lib_lora_train.models.noise import noise_schedule


def test_the_schedule_is_that_of_the_original_configuration():
    beta = np.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=np.float64) ** 2
    alphas_cumprod = np.cumprod(1 - beta)
    schedule = noise_schedule("epsilon")
    assert schedule.alphas_cumprod.shape == (1000,)
    np.testing.assert_allclose(schedule.alphas_cumprod.numpy(), alphas_cumprod, rtol=2e-5)
    assert noise_schedule("v_prediction").config["prediction_type"] == "v_prediction"


@pytest.mark.parametrize("to_pure_noise", [False, True])
def test_the_signal_to_noise_ratio_is_that_of_the_schedule_that_is_trained_with(to_pure_noise):
    schedule = noise_schedule("v_prediction", zero_terminal_snr=to_pure_noise)
    timesteps = torch.tensor([1, 100, 500, 900, 998])
    wanted = compute_snr(schedule, timesteps)
    for timestep, ratio in zip(timesteps.tolist(), wanted.tolist(), strict=True):
        assert signal_to_noise(timestep, to_pure_noise=to_pure_noise) == pytest.approx(ratio, rel=1e-3)
