"""Noise, loss and its weights equal the formulas of their papers, written out here by hand."""

from __future__ import annotations

import ast
import dataclasses
import math
from pathlib import Path

import diffusers
import pytest
import torch

from lib_lora_train.config.groups.loss import HUBER_SCHEDULES, LossSettings
from lib_lora_train.models.noise import noise_schedule
from lib_lora_train.training.loss import batch_loss, timestep_weight
from lib_lora_train.training.noise import add_noise, draw_noise, mix_noise
from lib_lora_train.training.randomness import generator_for
from lib_lora_train.training.reporting.sampling import with_guidance

STEPS = 1000
BETAS = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, STEPS, dtype=torch.float64) ** 2
ALPHAS = torch.cumprod(1 - BETAS, dim=0)
TIMESTEPS = torch.tensor([0, 100, 400, 700, 999])
SNR = ALPHAS[TIMESTEPS] / (1 - ALPHAS[TIMESTEPS])
PLAIN = LossSettings(min_snr_gamma=None)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def spread(values: torch.Tensor) -> torch.Tensor:
    return values.view(-1, 1, 1, 1)


def close(made: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(made.double(), wanted.double(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_noisy_latents_and_target_follow_the_papers(prediction_type):
    latents, noise = draw(5, 4, 8, 8), draw(5, 4, 8, 8, seed=1)
    made = mix_noise(latents, noise, TIMESTEPS, noise_schedule(prediction_type))
    signal, blur = spread(ALPHAS[TIMESTEPS].sqrt()), spread((1 - ALPHAS[TIMESTEPS]).sqrt())
    close(made.noisy_latents, signal * latents + blur * noise)
    close(made.target, noise if prediction_type == "epsilon" else signal * noise - blur * latents)


def test_zero_terminal_snr_rescales_the_schedule_as_lin_et_al_do():
    roots = ALPHAS.sqrt()
    shifted = (roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])
    schedule = noise_schedule("v_prediction", zero_terminal_snr=True)
    torch.testing.assert_close(schedule.alphas_cumprod.double(), shifted ** 2, atol=1e-5, rtol=0)
    latents, noise = draw(1, 4, 8, 8), draw(1, 4, 8, 8, seed=1)
    last = mix_noise(latents, noise, torch.tensor([999]), schedule)
    close(last.noisy_latents, noise)
    close(last.target, -latents)


WEIGHTS = {
    "plain": (PLAIN, lambda snr: torch.ones_like(snr), lambda snr: torch.ones_like(snr)),
    **{f"min snr {gamma:g}": (LossSettings(min_snr_gamma=gamma), lambda snr, g=gamma: snr.clamp(max=g) / snr,
                              lambda snr, g=gamma: snr.clamp(max=g) / (snr + 1)) for gamma in (1.0, 5.0, 20.0)},
    "debiased": (LossSettings(min_snr_gamma=None, debiased_estimation_loss=True),
                 lambda snr: 1 / snr.clamp(max=1000).sqrt(), lambda snr: 1 / (snr + 1)),
}


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_each_timestep_has_the_weight_its_paper_gives_it(prediction_type, name):
    settings, epsilon, velocity = WEIGHTS[name]
    prediction, target = draw(5, 4, 8, 8), draw(5, 4, 8, 8, seed=1)
    loss = batch_loss(prediction, target, TIMESTEPS, noise_schedule(prediction_type), settings)
    weight = (epsilon if prediction_type == "epsilon" else velocity)(SNR)
    close(loss, (((prediction - target).double() ** 2).mean(dim=(1, 2, 3)) * weight).mean())


def threshold_by_hand(schedule: str, lowest: float) -> torch.Tensor:
    if schedule == "constant":
        return torch.full((5,), lowest, dtype=torch.float64)
    if schedule == "exponential":
        return torch.exp(-(-math.log(lowest) / STEPS) * TIMESTEPS.double())
    sigma = ((1 - ALPHAS[TIMESTEPS]) / ALPHAS[TIMESTEPS]).sqrt()
    return (1 - lowest) / (1 + sigma) ** 2 + lowest


@pytest.mark.parametrize("schedule", HUBER_SCHEDULES)
@pytest.mark.parametrize("kind", ["huber", "smooth_l1"])
def test_the_huber_threshold_follows_as_its_schedule_says(kind, schedule):
    prediction, target = draw(5, 4, 8, 8), draw(5, 4, 8, 8, seed=1)
    settings = LossSettings(min_snr_gamma=None, loss_type=kind, huber_schedule=schedule, huber_c=0.2, huber_scale=1.5)
    c = spread(threshold_by_hand(schedule, 0.2) * 1.5)
    error = 2 * (((prediction - target).double() ** 2 + c ** 2).sqrt() - c)
    wanted = (error * c if kind == "huber" else error).mean()
    close(batch_loss(prediction, target, TIMESTEPS, noise_schedule("epsilon"), settings), wanted)


def test_l1_is_the_mean_of_absolute_differences():
    prediction, target = draw(5, 4, 8, 8), draw(5, 4, 8, 8, seed=1)
    settings = LossSettings(min_snr_gamma=None, loss_type="l1")
    close(batch_loss(prediction, target, TIMESTEPS, noise_schedule("epsilon"), settings),
          (prediction - target).abs().mean())


def test_what_is_masked_does_not_count_and_pictures_count_by_their_weight():
    prediction, target = draw(2, 4, 8, 8), draw(2, 4, 8, 8, seed=1)
    mask, weights = torch.zeros(2, 1, 8, 8), torch.tensor([1.0, 0.5])
    mask[:, :, :4] = 1
    loss = batch_loss(prediction, target, TIMESTEPS[:2], noise_schedule("epsilon"), PLAIN, mask=mask,
                      picture_weights=weights)
    squares = ((prediction - target)[:, :, :4] ** 2).mean(dim=(1, 2, 3))  # over the mask, not over the whole image
    close(loss, (squares * weights).mean())
    mask[1] = 0  # a wholly black mask teaches nothing, and makes no NaN
    loss = batch_loss(prediction, target, TIMESTEPS[:2], noise_schedule("epsilon"), PLAIN, mask=mask)
    close(loss, squares[0] / 2)


KINDS = {
    "l2": lambda d, c: d ** 2, "l1": lambda d, c: d.abs(), "huber": lambda d, c: 2 * c * ((d ** 2 + c ** 2).sqrt() - c),
    "smooth_l1": lambda d, c: 2 * ((d ** 2 + c ** 2).sqrt() - c)}


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_masked_loss_and_its_gradient_equal_the_formula_for_every_kind_of_loss(kind, prediction_type, name):
    settings, epsilon, velocity = WEIGHTS[name]
    settings = dataclasses.replace(settings, loss_type=kind, huber_schedule="exponential", huber_c=0.2,
                                   unmasked_weight=0.25, masked_prior_preservation_weight=0.6)
    mask = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(4))
    mask[1], mask[2], mask[3, :, 4:], mask[4, :, :3] = 0.0, 1.0, 0.0, 1.0
    prediction, base, target = draw(5, 4, 8, 8).requires_grad_(), draw(5, 4, 8, 8, seed=2), draw(5, 4, 8, 8, seed=1)
    loss = batch_loss(prediction, target, TIMESTEPS, noise_schedule(prediction_type), settings, mask=mask,
                      base_prediction=base, picture_weights=torch.tensor([1.0, 1.0, 0.5, 1.0, 2.0]))
    loss.backward()

    same = prediction.detach().double().requires_grad_()
    weight = (epsilon if prediction_type == "epsilon" else velocity)(SNR)
    total = torch.zeros((), dtype=torch.float64)
    for number, picture_weight in enumerate([1.0, 1.0, 0.5, 1.0, 2.0]):
        c, m = threshold_by_hand("exponential", 0.2)[number], mask[number].double()
        to_target = KINDS[kind](same[number] - target[number].double(), c).mean(dim=0)
        to_base = KINDS[kind](same[number] - base[number].double(), c).mean(dim=0)
        inside = torch.where(m[0] > 0.25, m[0], torch.tensor(0.25, dtype=torch.float64))
        error = torch.zeros((), dtype=torch.float64)
        if m.max() > 0:
            error = error + (inside * to_target).sum() / inside.sum()
        if m.min() < 1:
            error = error + 0.6 * ((1 - m[0]) * to_base).sum() / (1 - m[0]).sum()
        total = total + error * weight[number] * picture_weight / 5
    total.backward()
    close(loss, total)
    close(prediction.grad, same.grad)


def test_offset_noise_shifts_whole_channels_by_its_amount():
    plain = draw_noise(torch.zeros(400, 4, 8, 8), LossSettings(), generator_for(1))
    shifted = draw_noise(torch.zeros(400, 4, 8, 8), LossSettings(noise_offset=0.1), generator_for(1))
    difference = shifted - plain
    assert float((difference - difference.mean(dim=(2, 3), keepdim=True)).abs().max()) < 1e-6
    assert float(difference[:, :, 0, 0].std()) == pytest.approx(0.1, rel=0.05)


def test_the_offset_follows_the_brightness_of_the_latent():
    latents = torch.ones(400, 4, 8, 8)
    latents[:, 0] = -3.0
    settings = LossSettings(noise_offset=0.1, adaptive_noise_scale=0.05)
    difference = draw_noise(latents, settings, generator_for(1)) - draw_noise(latents, LossSettings(), generator_for(1))
    assert float(difference[:, 0, 0, 0].std()) == pytest.approx(0.1 + 0.05 * 3, rel=0.1)
    assert float(difference[:, 1, 0, 0].std()) == pytest.approx(0.1 + 0.05, rel=0.1)


def test_multires_noise_is_normal_noise_with_coarser_noise_in_it():
    settings = LossSettings(multires_noise_iterations=6, multires_noise_discount=0.9)
    noise = draw_noise(torch.zeros(16, 4, 32, 32), settings, generator_for(1))
    assert float(noise.std()) == pytest.approx(1.0, abs=1e-4)
    neighbours = (noise[..., 1:] * noise[..., :-1]).mean() / noise.var()
    plain = draw_noise(torch.zeros(16, 4, 32, 32), LossSettings(), generator_for(1))
    assert float(neighbours) > 0.2 > abs(float((plain[..., 1:] * plain[..., :-1]).mean()))


def test_input_perturbation_changes_what_is_shown_and_not_what_is_asked():
    latents, schedule = draw(8, 4, 8, 8), noise_schedule("epsilon")
    plain = add_noise(latents, schedule, LossSettings(), generator_for(1))
    perturbed = add_noise(latents, schedule, LossSettings(ip_noise_gamma=0.1), generator_for(1))
    assert torch.equal(plain.target, perturbed.target)
    assert torch.equal(plain.timesteps, perturbed.timesteps)
    blur = spread((1 - ALPHAS[plain.timesteps]).sqrt())
    extra = (perturbed.noisy_latents - plain.noisy_latents) / blur
    assert float(extra.std()) == pytest.approx(0.1, rel=0.1)


def test_the_noise_of_a_step_depends_on_the_seed_and_the_step_alone():
    schedule, latents = noise_schedule("epsilon"), draw(2, 4, 8, 8)

    def at(seed: int, step: int) -> torch.Tensor:
        return add_noise(latents, schedule, PLAIN, generator_for(seed, "noise", step, 0)).noisy_latents

    first = at(42, 7)
    torch.randn(100)  # whatever else is drawn in between
    assert torch.equal(first, at(42, 7))
    assert not torch.equal(first, at(42, 8))
    assert not torch.equal(first, at(43, 7))


@pytest.mark.parametrize("low, high", [(0, 1000), (200, 600)])
def test_every_timestep_in_the_range_is_drawn_and_none_outside(low, high):
    settings = LossSettings(min_timestep=low, max_timestep=high)
    drawn = add_noise(torch.zeros(20000, 4, 1, 1), noise_schedule("epsilon"), settings, generator_for(0)).timesteps
    assert (int(drawn.min()), int(drawn.max())) == (low, high - 1)
    assert abs(float(drawn.float().mean()) - (low + high - 1) / 2) < 10


@pytest.mark.parametrize("gamma", [None, 1.0, 5.0])
@pytest.mark.parametrize("zero_terminal_snr", [False, True])
def test_the_loss_of_velocity_is_scaled_like_that_of_noise(gamma, zero_terminal_snr):
    """sd-scripts, ``get_snr_scale``: min(SNR, 1000) / (min(SNR, 1000) + 1), on top of Min-SNR."""
    schedule = noise_schedule("v_prediction", zero_terminal_snr=zero_terminal_snr)
    timesteps = torch.tensor([0, 1, 100, 500, 900, 999])
    kept = schedule.alphas_cumprod[timesteps]
    snr = kept / (1 - kept)
    scale = snr.clamp(max=1000) / (snr.clamp(max=1000) + 1)
    settings = LossSettings(min_snr_gamma=gamma, scale_v_pred_loss_like_noise_pred=True)
    plain = torch.ones(6) if gamma is None else snr.clamp(max=gamma) / (snr + 1)
    assert torch.allclose(timestep_weight(timesteps, schedule, settings), plain * scale, atol=1e-6)


def test_the_scale_is_for_velocity_alone():
    settings = LossSettings(min_snr_gamma=None, scale_v_pred_loss_like_noise_pred=True)
    assert (timestep_weight(torch.tensor([10, 900]), noise_schedule("epsilon"), settings) == 1).all()


def of_a_pipeline(name):
    """A function of diffusers' pipeline without the pipeline, which imports what ``import_lightly`` leaves out."""
    file = Path(diffusers.__file__).parent / "pipelines/stable_diffusion/pipeline_stable_diffusion.py"
    [function] = [node for node in ast.parse(file.read_text(encoding="utf-8")).body
                  if isinstance(node, ast.FunctionDef) and node.name == name]
    found = {}
    exec(compile(ast.Module([function], []), str(file), "exec"), found)
    return found[name]


@pytest.mark.parametrize("rescale", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("scale", [1.0, 7.0])
def test_guidance_is_rescaled_as_diffusers_does(scale, rescale):
    rescale_noise_cfg = of_a_pipeline("rescale_noise_cfg")
    generator = torch.Generator().manual_seed(4)
    without, wanted = (torch.randn(2, 4, 8, 8, generator=generator) * spread for spread in (1.0, 1.5))
    theirs = rescale_noise_cfg(without + scale * (wanted - without), wanted, guidance_rescale=rescale)
    assert torch.allclose(with_guidance(without, wanted, scale, rescale=rescale), theirs, atol=1e-5)
