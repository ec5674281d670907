"""Optimizers and schedules are the libraries' own, with the guide's arguments; what cannot be is refused."""

from __future__ import annotations

import math

import pytest
import torch
from prodigyopt import Prodigy

from lib_lora_train.config.groups.optimizer import OptimizerSettings
from lib_lora_train.config.groups.scheduler import SchedulerSettings
from lib_lora_train.errors import ConfigError
from lib_lora_train.training.optimizers import RatedParameters, effective_rate, make_optimizer, parse_arguments
from lib_lora_train.training.schedules import make_schedule


def quadratic() -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.linspace(-2, 3, 12).view(3, 4))


def five_steps(optimizer: torch.optim.Optimizer, parameter: torch.nn.Parameter) -> torch.Tensor:
    for _ in range(5):
        optimizer.zero_grad()
        ((parameter - 1) ** 2).sum().backward()
        optimizer.step()
    return parameter.detach()


def groups(parameter: torch.nn.Parameter, rate: float) -> list[RatedParameters]:
    return [RatedParameters("unet", [parameter], rate)]


def test_adamw_is_torchs():
    ours, theirs = quadratic(), quadratic()
    made = make_optimizer(groups(ours, 1e-2), OptimizerSettings(optimizer_type="AdamW"))
    own = torch.optim.AdamW([theirs], lr=1e-2, betas=(0.9, 0.999), weight_decay=0.01)
    assert torch.equal(five_steps(made, ours), five_steps(own, theirs))


def test_prodigy_has_the_guides_arguments():
    ours, theirs = quadratic(), quadratic()
    made = make_optimizer(groups(ours, 1.0), OptimizerSettings(optimizer_type="Prodigy"))
    own = Prodigy([theirs], lr=1.0, decouple=True, weight_decay=0.01, d_coef=2, use_bias_correction=True,
                  safeguard_warmup=False, betas=(0.9, 0.999))
    assert torch.equal(five_steps(made, ours), five_steps(own, theirs))
    assert effective_rate(made.param_groups[0]) == made.param_groups[0]["d"] * 1.0


def test_arguments_are_read_as_sd_scripts_writes_them():
    assert parse_arguments(["decouple=True", '"betas=0.9,0.999"', "d_coef=2", "mode=max"]) == {
        "decouple": True, "betas": (0.9, 0.999), "d_coef": 2, "mode": "max"}


@pytest.mark.parametrize("arguments", [["decouple"], ["=3"], ["a b=3"]])
def test_an_argument_that_is_none_is_named(arguments):
    with pytest.raises(ConfigError, match="name=value"):
        parse_arguments(arguments)


def test_an_argument_that_the_optimizer_does_not_know_is_named():
    with pytest.raises(ConfigError, match="bettas"):
        make_optimizer(groups(quadratic(), 1.0), OptimizerSettings(optimizer_args=["bettas=0.9,0.99"]))


def test_rates_that_prodigy_cannot_tell_apart_are_refused_and_zero_leaves_a_part_out():
    unet, text = quadratic(), quadratic()
    rated = [RatedParameters("unet", [unet], 1.0), RatedParameters("text_encoder", [text], 0.5)]
    with pytest.raises(ConfigError, match="different learning rates"):
        make_optimizer(rated, OptimizerSettings(optimizer_type="Prodigy"))
    rated[1] = RatedParameters("text_encoder", [text], 0.0)
    assert [group["part"] for group in make_optimizer(rated, OptimizerSettings()).param_groups] == ["unet"]


def test_no_rate_at_all_is_refused():
    with pytest.raises(ConfigError, match="Every learning rate is 0"):
        make_optimizer(groups(quadratic(), 0.0), OptimizerSettings())


def rates(settings: SchedulerSettings, total: int) -> list[float]:
    parameter = quadratic()
    optimizer = torch.optim.AdamW([parameter], lr=1.0)
    schedule, values = make_schedule(optimizer, settings, total), []
    for _ in range(total):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return values


def test_cosine_follows_its_formula():
    wanted = [0.5 * (1 + math.cos(math.pi * step / 40)) for step in range(40)]
    assert rates(SchedulerSettings(lr_scheduler="cosine"), 40) == pytest.approx(wanted)


def test_constant_stays_and_warmup_rises_as_steps_or_as_a_share():
    assert rates(SchedulerSettings(), 10) == [1.0] * 10
    rising = [0.0, 0.25, 0.5, 0.75] + [1.0] * 16
    assert rates(SchedulerSettings(lr_warmup_steps=4), 20) == pytest.approx(rising)
    assert rates(SchedulerSettings(lr_warmup_steps=0.2), 20) == pytest.approx(rising)
