"""Optimizers and schedules are the libraries' own, with the guide's arguments; what cannot be is refused or told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dadaptation
import lion_pytorch
import prodigyopt
import pytest
import schedulefree
import torch
from transformers.optimization import Adafactor

from lib_lora_train.advice.schedule import rate_factor
from lib_lora_train.config.groups.optimizer import OptimizerSettings
from lib_lora_train.config.groups.scheduler import LR_SCHEDULERS, SchedulerSettings
from lib_lora_train.config.optimizer_facts import OPTIMIZERS
from lib_lora_train.errors import ConfigError
from lib_lora_train.training.optimizers.create import (
    RatedParameters,
    effective_rate,
    make_optimizer,
    parse_arguments,
)
from lib_lora_train.training.optimizers.schedules import make_schedule

RATE = 1e-2
OWN: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "AdamW": lambda p: torch.optim.AdamW(p, lr=RATE, betas=(0.9, 0.999), weight_decay=0.01),
    "Lion": lambda p: lion_pytorch.Lion(p, lr=RATE, betas=(0.9, 0.99), weight_decay=0.01),
    "SGDNesterov": lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.9, nesterov=True),
    "AdaFactor": lambda p: Adafactor(p, lr=None, relative_step=True, scale_parameter=True, warmup_init=True),
    "DAdaptAdam": lambda p: dadaptation.DAdaptAdam(p, lr=1.0, decouple=True, weight_decay=0.01, betas=(0.9, 0.999)),
    "DAdaptLion": lambda p: dadaptation.DAdaptLion(p, lr=1.0, weight_decay=0.01, betas=(0.9, 0.999)),
    "Prodigy": lambda p: prodigyopt.Prodigy(p, lr=1.0, decouple=True, weight_decay=0.01, d_coef=2, betas=(0.9, 0.999),
                                            use_bias_correction=True, safeguard_warmup=False),
    "AdamWScheduleFree": lambda p: schedulefree.AdamWScheduleFree(p, lr=RATE, betas=(0.9, 0.999), weight_decay=0.01),
}
EIGHT_BIT = [name for name, facts in OPTIMIZERS.items() if facts.eight_bit]


def quadratic(rows: int = 3, columns: int = 4) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.linspace(-2, 3, rows * columns).view(rows, columns))


def five_steps(optimizer: torch.optim.Optimizer, parameter: torch.nn.Parameter) -> torch.Tensor:
    if hasattr(optimizer, "train"):
        optimizer.train()
    for _ in range(5):
        optimizer.zero_grad()
        ((parameter - 1) ** 2).sum().backward()
        optimizer.step()
    return parameter.detach()


def made(name: str, parameter: torch.nn.Parameter, *arguments: str) -> torch.optim.Optimizer:
    rate = 1.0 if OPTIMIZERS[name].adaptive else RATE
    settings = OptimizerSettings(optimizer_type=name, optimizer_args=list(arguments))
    return make_optimizer([RatedParameters("unet", [parameter], rate)], settings, pytest.fail)


@pytest.mark.parametrize("name", OWN)
def test_five_steps_are_the_librarys_own_with_the_guides_arguments(name):
    ours, theirs = quadratic(), quadratic()
    assert torch.equal(five_steps(made(name, ours), ours), five_steps(OWN[name]([theirs]), theirs))


def test_every_optimizer_is_compared():
    assert set(OWN) | set(EIGHT_BIT) == set(OPTIMIZERS)


@pytest.mark.parametrize("name", EIGHT_BIT)
def test_eight_bit_is_close_to_the_full_precision_twin(name):
    ours, theirs = quadratic(128, 64), quadratic(128, 64)  # fewer than 4096 values are kept in full precision
    five_steps(made(name, ours), ours)
    five_steps(made(OPTIMIZERS[name].twin, theirs), theirs)
    moved = (theirs.detach() - quadratic(128, 64).detach()).abs().max()
    # the mean, since Lion takes a whole step either way where rounding turns a sign
    assert float((ours - theirs).detach().abs().mean()) < 0.02 * float(moved)


def test_sgd_nesterov_8bit_looks_ahead():
    ours, with_it, without = quadratic(128, 64), quadratic(128, 64), quadratic(128, 64)
    five_steps(made("SGDNesterov8bit", ours), ours)
    five_steps(torch.optim.SGD([with_it], lr=RATE, momentum=0.9, nesterov=True), with_it)
    five_steps(torch.optim.SGD([without], lr=RATE, momentum=0.9), without)
    near, far = ((ours - other).detach().abs().max() for other in (with_it, without))
    assert float(near) < 0.1 * float(far)


def test_the_effective_rate_of_adaptive_optimizers_is_shown():
    parameter = quadratic()
    prodigy = made("Prodigy", parameter)
    five_steps(prodigy, parameter)
    group = prodigy.param_groups[0]
    assert effective_rate(group, prodigy) == group["d"] * group["lr"] > 0
    parameter = quadratic()
    adafactor = made("AdaFactor", parameter)
    five_steps(adafactor, parameter)
    scale = max(1e-3, float(adafactor.state[parameter]["RMS"]))
    assert effective_rate(adafactor.param_groups[0], adafactor) == pytest.approx(scale * 5e-6)  # 1e-6 · step


def test_arguments_are_read_as_sd_scripts_writes_them():
    assert parse_arguments(["decouple=True", '"betas=0.9,0.999"', "d_coef=2", "mode=max"]) == {
        "decouple": True, "betas": (0.9, 0.999), "d_coef": 2, "mode": "max"}


@pytest.mark.parametrize("arguments", [["decouple"], ["=3"], ["a b=3"]])
def test_an_argument_that_is_none_is_named(arguments):
    with pytest.raises(ConfigError, match="name=value"):
        parse_arguments(arguments)


@pytest.mark.parametrize("name", OWN)
def test_an_argument_that_the_optimizer_does_not_know_is_named(name):
    with pytest.raises(ConfigError, match="bettas"):
        made(name, quadratic(), "bettas=0.9,0.99")


@pytest.mark.parametrize("name", ["Prodigy", "DAdaptAdam", "DAdaptLion"])
def test_one_rate_is_used_knowingly_where_an_optimizer_has_only_one(name):
    told: list[str] = []
    rated = [RatedParameters("text_encoder", [quadratic()], 0.5), RatedParameters("unet", [quadratic()], 1.0)]
    optimizer = make_optimizer(rated, OptimizerSettings(optimizer_type=name), told.append)
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 1.0]
    assert len(told) == 1 and "0.5 for the text encoder" in told[0]
    rated[0] = RatedParameters("text_encoder", [quadratic()], 0.0)
    optimizer = make_optimizer(rated, OptimizerSettings(optimizer_type=name), pytest.fail)
    assert [group["part"] for group in optimizer.param_groups] == ["unet"]


def test_two_rates_stay_two_where_they_can():
    rated = [RatedParameters("text_encoder", [quadratic()], 5e-5), RatedParameters("unet", [quadratic()], 1e-4)]
    optimizer = make_optimizer(rated, OptimizerSettings(optimizer_type="AdamW"), pytest.fail)
    assert [group["lr"] for group in optimizer.param_groups] == [5e-5, 1e-4]


def test_no_rate_at_all_is_refused():
    with pytest.raises(ConfigError, match="Every learning rate is 0"):
        make_optimizer([RatedParameters("unet", [quadratic()], 0.0)], OptimizerSettings(), pytest.fail)


@pytest.mark.parametrize("warmup", [0.0, 4.0, 0.2])
@pytest.mark.parametrize("name", LR_SCHEDULERS)
def test_the_rate_that_is_trained_with_is_the_one_that_is_drawn(name, warmup):
    settings = SchedulerSettings(lr_scheduler=name, lr_warmup_steps=warmup, lr_scheduler_num_cycles=3,
                                 lr_scheduler_power=2.0, lr_scheduler_min_lr_ratio=0.1)
    optimizer = torch.optim.SGD([quadratic()], lr=1.0)
    schedule = make_schedule(optimizer, settings, 40)
    for step in range(40):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(rate_factor(settings, step, 40), abs=1e-12)
        optimizer.step()
        schedule.step()
