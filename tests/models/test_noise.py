from __future__ import annotations

import numpy as np

from lib_lora_train.models.noise import noise_schedule


def test_the_schedule_is_that_of_the_original_configuration():
    beta = np.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=np.float64) ** 2
    alphas_cumprod = np.cumprod(1 - beta)
    schedule = noise_schedule("epsilon")
    assert schedule.alphas_cumprod.shape == (1000,)
    np.testing.assert_allclose(schedule.alphas_cumprod.numpy(), alphas_cumprod, rtol=2e-5)
    assert noise_schedule("v_prediction").config["prediction_type"] == "v_prediction"
