"""The loss by noise level: what a step reports for each band, and the loss of a guess that knows only the level."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lib_lora_train.config.groups.loss import LossSettings
from lib_lora_train.models.noise import noise_schedule
from lib_lora_train.training.divergence import StepFigures
from lib_lora_train.training.noise import mix_noise
from lib_lora_train.training.reporting.noise_bands import noise_facts

TIMESTEPS = torch.tensor([0, 332, 333, 999, 666, 667])
BANDS = [[0, 1], [2, 4], [3, 5]]


def figures_of(*batches):
    """The bands of a step with these batches of errors (B,), timesteps (B,) and masks."""
    figures = StepFigures(len(batches), torch.device("cpu"))
    for errors, timesteps, mask in batches:
        prediction = errors.sqrt().view(-1, 1, 1, 1) * torch.ones(len(errors), 4, 2, 2)
        figures.take(errors.mean(), prediction, torch.zeros_like(prediction), timesteps, mask)
    return figures.read(torch.tensor(0.0)).bands


def test_each_image_counts_in_the_band_of_its_timestep():
    errors = torch.tensor([1.0, 3.0, 0.5, 0.1, 0.7, 0.3])
    bands = figures_of((errors[:2], TIMESTEPS[:2], None), (errors[2:], TIMESTEPS[2:], None))
    assert [band.images for band in bands] == [2, 2, 2]
    assert [band.loss for band in bands] == pytest.approx([float(errors[band].mean()) for band in BANDS])
    one = figures_of((errors[:1], TIMESTEPS[3:4], None))
    assert [(band.loss, band.images) for band in one] == [(None, 0), (None, 0), (pytest.approx(1.0), 1)]


def test_a_masked_image_counts_inside_its_mask_and_one_with_a_black_mask_not_at_all():
    mask = torch.zeros(3, 1, 2, 2)
    mask[0, :, 0, 0], mask[1] = 0.5, 1.0
    bands = figures_of((torch.tensor([1.0, 3.0, 9.0]), torch.tensor([10, 20, 30]), mask))
    assert bands[0].images == 2 and bands[0].loss == pytest.approx(2.0)


def blind_loss(kind: str, zero: bool, timestep: int) -> float:
    """What a least-squares fit on the noisy value alone leaves of the target, for values without any structure."""
    random = torch.Generator().manual_seed(timestep)
    clean, noise = (torch.randn(1, 4, 200, 200, generator=random) for _ in range(2))
    mixed = mix_noise(clean, noise, torch.tensor([timestep]), noise_schedule(kind, zero_terminal_snr=zero))
    noisy, target = (values.flatten().double().numpy() for values in (mixed.noisy_latents, mixed.target))
    return float(np.mean((target - noisy * (noisy @ target) / (noisy @ noisy)) ** 2))


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_the_guess_is_what_a_fit_on_the_noise_level_alone_leaves(kind, zero):
    facts = noise_facts(noise_schedule(kind, zero_terminal_snr=zero), LossSettings(), "SDXL")
    for guess, first, last in zip(facts["guess"], facts["edges"], facts["edges"][1:], strict=False):
        spread = range(first + 18, last, 37)  # nine, evenly
        measured = np.mean([blind_loss(kind, zero, timestep) for timestep in spread])
        assert guess == pytest.approx(measured, abs=0.01)
    assert (facts["family"], facts["prediction"], facts["zero_terminal_snr"]) == ("SDXL", kind, zero)


def test_a_band_that_no_timestep_reaches_has_no_guess():
    facts = noise_facts(noise_schedule("epsilon"), LossSettings(min_timestep=400, max_timestep=600), "SD 1.x")
    assert facts["guess"][0] is None and facts["guess"][2] is None and 0 < facts["guess"][1] < 1


def test_weights_of_the_loss_do_not_change_the_bands_of_a_run(train):
    plain, weighted = (train(training={"max_train_steps": 1}, loss=loss).of("step")[0]
                       for loss in ({"min_snr_gamma": None}, {"min_snr_gamma": 0.1, "loss_type": "huber"}))
    assert plain["bands"] == weighted["bands"] and weighted["loss"] != pytest.approx(plain["loss"])
    images = sum(count for _, count in plain["bands"])
    assert sum((loss or 0) * count for loss, count in plain["bands"]) / images == pytest.approx(plain["loss"], rel=1e-4)
