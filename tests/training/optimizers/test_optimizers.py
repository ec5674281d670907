"""Optimizers and schedules are the libraries' own, with the guide's arguments; the rest is refused or reported."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from typing import Any

import dadaptation
import lion_pytorch
import prodigyopt
import prodigyplus
import pytest
import schedulefree
import torch
from torch.optim.lr_scheduler import LRScheduler
from transformers import optimization as schedules
from transformers.optimization import Adafactor

from lib_lora_train.advice.optimizer_guards import with_d_coef
from lib_lora_train.advice.schedule import drawn_rates, rate_factor
from lib_lora_train.config.groups.network import NetworkSettings
from lib_lora_train.config.groups.optimizer import OptimizerSettings
from lib_lora_train.config.groups.scheduler import LR_SCHEDULERS, SchedulerSettings
from lib_lora_train.config.job import Job
from lib_lora_train.config.optimizer_args import parse_arguments, sets_own_rate
from lib_lora_train.config.optimizer_facts import OPTIMIZERS
from lib_lora_train.errors import ConfigError
from lib_lora_train.training.optimizers.create import RatedParameters, effective_rate, make_optimizer
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
    "ProdigyPlusScheduleFree": lambda p: prodigyplus.ProdigyPlusScheduleFree(p, lr=1.0),
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
    reported: list[str] = []
    rated = [RatedParameters("text_encoder", [quadratic()], 0.5), RatedParameters("unet", [quadratic()], 1.0)]
    optimizer = make_optimizer(rated, OptimizerSettings(optimizer_type=name), reported.append)
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 1.0]
    assert len(reported) == 1 and "0.5 for the text encoder" in reported[0]
    rated[0] = RatedParameters("text_encoder", [quadratic()], 0.0)
    optimizer = make_optimizer(rated, OptimizerSettings(optimizer_type=name), pytest.fail)
    assert [group["part"] for group in optimizer.param_groups] == ["unet"]


def plus(*arguments: str, report: Callable[[str], None] = pytest.fail,
         rates: tuple[float, ...] = (1.0, 0.5)) -> torch.optim.Optimizer:
    torch.manual_seed(0)
    rated = [RatedParameters(part, [torch.nn.Parameter(torch.randn(40, 16)), torch.nn.Parameter(torch.zeros(16, 40))],
                             rate) for part, rate in zip(("unet", "text_encoder"), rates, strict=False)]
    settings = OptimizerSettings(optimizer_type="ProdigyPlusScheduleFree", optimizer_args=["d0=1e-4", *arguments])
    return make_optimizer(rated, settings, report)


def plus_steps(optimizer: torch.optim.Optimizer, first: int, count: int) -> list[torch.Tensor]:
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    for step in range(first, first + count):
        generator = torch.Generator().manual_seed(step)
        for one in parameters:
            one.grad = (one.detach() - 1) / 10 + torch.randn(one.shape, generator=generator) / 10
        optimizer.step()
    return [one.detach().clone() for one in parameters]


@pytest.mark.parametrize("arguments", [(), ("split_groups=True",), ("split_groups=True", "split_groups_mean=True"),
                                       ("use_speed=True",), ("factored=False", "eps=None")])
def test_prodigy_plus_resumes_bit_for_bit_with_its_states_in_bfloat16(arguments):
    whole = plus(*arguments, report=str)
    weights = plus_steps(whole, 0, 10)
    buffer = io.BytesIO()
    torch.save(whole.state_dict(), buffer)
    buffer.seek(0)
    resumed = plus(*arguments, report=str)
    for one, saved in zip((p for group in resumed.param_groups for p in group["params"]), weights, strict=True):
        one.data.copy_(saved)
    resumed.load_state_dict(torch.load(buffer, weights_only=True))
    own, theirs = (one.state_dict()["state"] for one in (resumed, whole))
    assert {name: value.dtype for name, value in own[0].items() if hasattr(value, "dtype")} == {
        name: value.dtype for name, value in theirs[0].items() if hasattr(value, "dtype")}
    assert own[0]["p0"].dtype == torch.bfloat16
    assert all(map(torch.equal, plus_steps(resumed, 10, 10), plus_steps(whole, 10, 10)))
    assert resumed.param_groups[0]["d"] == whole.param_groups[0]["d"] > 1e-4


def test_prodigy_plus_finds_one_rate_and_keeps_those_of_parts_and_blocks_as_factors():
    optimizer = plus()
    plus_steps(optimizer, 0, 20)
    unet, text_encoder = optimizer.param_groups
    assert unet["d"] == text_encoder["d"] > 1e-4
    assert effective_rate(text_encoder, optimizer) == 0.5 * effective_rate(unet, optimizer) == 0.5 * unet["d"]


def test_prodigy_plus_reports_what_its_package_prints(capsys):
    said: list[str] = []
    optimizer = plus("prodigy_steps=3", "use_cautious=True", "use_grams=True", report=said.append)
    plus_steps(optimizer, 0, 4)
    assert any("use_grams" in text for text in said) and any("after 3 steps" in text for text in said)
    assert capsys.readouterr().out == ""
    assert "p0" not in optimizer.state[optimizer.param_groups[0]["params"][0]]


def test_prodigy_plus_cannot_be_told_to_leave_out_its_steps():
    with pytest.raises(ConfigError, match=r"fused_back_pass=True.*leaves every step out"):
        plus("fused_back_pass=True")


def test_the_memory_of_prodigy_plus_is_what_is_estimated():
    parameter = torch.nn.Parameter(torch.randn(320, 16))
    optimizer = made("ProdigyPlusScheduleFree", parameter)
    parameter.grad = torch.randn(320, 16)
    optimizer.step()
    kept = sum(value.nbytes for value in optimizer.state[parameter].values() if isinstance(value, torch.Tensor))
    assert kept / parameter.numel() == pytest.approx(OPTIMIZERS["ProdigyPlusScheduleFree"].state_bytes, abs=0.2)


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


# Every pair of optimizer and schedule: no crash, and the rate that reaches the weights is the one that is drawn.

TOTAL = 12
PAIRS = [(name, schedule, warmup) for name in OPTIMIZERS for schedule in LR_SCHEDULERS for warmup in (0.0, 3.0)]


def paired_job(name: str, schedule: str, warmup: float, *arguments: str, **optimizer: Any) -> Job:
    rate = 1.0 if OPTIMIZERS[name].adaptive and not arguments else RATE
    scheduler = SchedulerSettings(lr_scheduler=schedule, lr_warmup_steps=warmup, lr_scheduler_num_cycles=2,
                                  lr_scheduler_power=2.0, lr_scheduler_min_lr_ratio=0.1, lr_scheduler_timescale=5,
                                  lr_decay_steps=4)
    return Job(optimizer=OptimizerSettings(**{"optimizer_type": name, "optimizer_args": list(arguments),
                                              "learning_rate": rate, **optimizer}), scheduler=scheduler)


def rates_of(job: Job) -> tuple[list[tuple[float, float]], list[torch.nn.Parameter]]:
    """The rates of UNet and text encoder that the optimizer has in each step, and what is trained."""
    parts = [RatedParameters("unet", [quadratic(64, 64)], job.optimizer.unet_rate),
             RatedParameters("text_encoder", [quadratic(64, 64)], job.optimizer.text_encoder_rate)]
    optimizer = make_optimizer(parts, job.optimizer, lambda text: None, job.scheduler)
    schedule = make_schedule(optimizer, job.scheduler, TOTAL)
    seen = []
    for _ in range(TOTAL):
        seen.append(tuple(group["lr"] for group in optimizer.param_groups))
        optimizer.zero_grad()
        sum(((parameter - 1) ** 2).sum() for part in parts for parameter in part.parameters).backward()
        optimizer.step()
        schedule.step()
    return seen, [part.parameters[0] for part in parts]


@pytest.mark.parametrize("name, schedule, warmup", PAIRS)
def test_every_optimizer_trains_with_every_schedule_at_the_rates_that_are_drawn(name, schedule, warmup):
    job = paired_job(name, schedule, warmup, text_encoder_lr=0.5 if OPTIMIZERS[name].adaptive else RATE / 2)
    seen, trained = rates_of(job)
    assert all(torch.isfinite(parameter).all() for parameter in trained)
    drawn = drawn_rates(job, TOTAL)
    if sets_own_rate(job.optimizer):
        assert drawn.points == () and "by itself" in drawn.text
        return
    assert [point[1:] for point in drawn.points] == [pytest.approx(rates, abs=1e-12) for rates in seen]
    assert ("multiplies" in drawn.text) == OPTIMIZERS[name].adaptive


@pytest.mark.parametrize("schedule", LR_SCHEDULERS)
def test_adafactor_with_its_own_rate_trains_alike_whatever_the_schedule(schedule):
    constant = rates_of(paired_job("AdaFactor", "constant", 0.0))[1]
    assert all(map(torch.equal, rates_of(paired_job("AdaFactor", schedule, 3.0, learning_rate=0.3))[1], constant))


@pytest.mark.parametrize("rate", [1e-3, 2e-3])
@pytest.mark.parametrize("given", ["relative_step=False", "relative_step=false", "relative_step = False",
                                   "relative_step=0"])
def test_adafactor_without_its_own_rate_trains_at_the_rate_that_is_given(given, rate):
    ours, theirs = quadratic(), quadratic()
    settings = OptimizerSettings(optimizer_type="AdaFactor", optimizer_args=[given])
    five_steps(make_optimizer([RatedParameters("unet", [ours], rate)], settings, pytest.fail), ours)
    five_steps(Adafactor([theirs], lr=rate, relative_step=False, scale_parameter=False, warmup_init=False), theirs)
    assert torch.equal(ours, theirs)


def test_the_rate_of_adafactor_that_goes_by_size_is_shown_as_it_is():
    parameter = quadratic()
    settings = OptimizerSettings(optimizer_type="AdaFactor", optimizer_args=["relative_step=False",
                                                                             "scale_parameter=True"])
    optimizer = make_optimizer([RatedParameters("unet", [parameter], RATE)], settings, pytest.fail)
    five_steps(optimizer, parameter)
    size = float(optimizer.state[parameter]["RMS"])
    assert effective_rate(optimizer.param_groups[0], optimizer) == pytest.approx(RATE * size)


@pytest.mark.parametrize("warmup, given, wanted", [
    (0.0, [], False), (0.1, [], True), (5.0, [], True), (0.1, ["safeguard_warmup=False"], False),
    (0.0, ["safeguard_warmup=True"], True)])
def test_prodigys_warmup_is_safeguarded_unless_it_is_said_otherwise(warmup, given, wanted):
    job = paired_job("Prodigy", "constant", warmup)
    settings = dataclasses.replace(job.optimizer, optimizer_args=given)
    optimizer = make_optimizer([RatedParameters("unet", [quadratic()], 1.0)], settings, pytest.fail, job.scheduler)
    assert optimizer.param_groups[0]["safeguard_warmup"] is wanted


@pytest.mark.parametrize("network, wanted", [
    (NetworkSettings(), 2.0), (NetworkSettings(network_dim=9), 2.0), (NetworkSettings(network_dim=8), 4.0),
    (NetworkSettings("LyCORIS-LoKR"), 4.0), (NetworkSettings("LyCORIS-(IA)^3"), 8.0)])
def test_d_coef_goes_by_rank_and_type_until_it_is_given(network, wanted):
    def used(**optimizer: Any) -> float:
        job = with_d_coef(Job(network=network, optimizer=OptimizerSettings(**optimizer)))
        made = make_optimizer([RatedParameters("unet", [quadratic()], 1.0)], job.optimizer, pytest.fail)
        return float(made.param_groups[0]["d_coef"])

    assert used() == wanted
    assert used(d_coef=0.7) == 0.7
    assert used(optimizer_args=["d_coef=1.5"]) == 1.5


TRANSFORMERS: dict[str, Callable[[torch.optim.Optimizer, int, int], LRScheduler]] = {
    "constant": lambda o, w, n: (schedules.get_constant_schedule_with_warmup if w else
                                 lambda o, w: schedules.get_constant_schedule(o))(o, w),
    "constant_with_warmup": lambda o, w, n: schedules.get_constant_schedule_with_warmup(o, w),
    "linear": lambda o, w, n: schedules.get_linear_schedule_with_warmup(o, w, n),
    "cosine": lambda o, w, n: schedules.get_cosine_schedule_with_warmup(o, w, n),
    "cosine_with_restarts": lambda o, w, n: schedules.get_cosine_with_hard_restarts_schedule_with_warmup(o, w, n, 3),
    "polynomial": lambda o, w, n: schedules.get_polynomial_decay_schedule_with_warmup(o, w, n, lr_end=0, power=2.0),
    "inverse_sqrt": lambda o, w, n: schedules.get_inverse_sqrt_schedule(o, w, timescale=50),
    "cosine_with_min_lr": lambda o, w, n: schedules.get_cosine_with_min_lr_schedule_with_warmup(
        o, w, n, min_lr_rate=0.1),
    "warmup_stable_decay": lambda o, w, n: schedules.get_wsd_schedule(
        o, num_warmup_steps=w, num_decay_steps=20, num_stable_steps=n - w - 20, min_lr_ratio=0.1),
}


@pytest.mark.parametrize("warmup", [0, 12])
@pytest.mark.parametrize("name", LR_SCHEDULERS)
def test_the_rates_are_those_of_transformers_functions(name, warmup):
    settings = SchedulerSettings(lr_scheduler=name, lr_warmup_steps=warmup, lr_scheduler_num_cycles=3,
                                 lr_scheduler_power=2.0, lr_scheduler_min_lr_ratio=0.1, lr_scheduler_timescale=50,
                                 lr_decay_steps=20)
    ours, theirs = (torch.optim.SGD([quadratic()], lr=1.0) for _ in range(2))
    steps = make_schedule(ours, settings, 120), TRANSFORMERS[name](theirs, warmup, 120)
    for _ in range(120):
        assert ours.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"], abs=1e-9)
        for optimizer, schedule in zip((ours, theirs), steps, strict=True):
            optimizer.step()
            schedule.step()


def test_inverse_sqrt_falls_by_its_timescale():
    settings = SchedulerSettings(lr_scheduler="inverse_sqrt", lr_scheduler_timescale=50)
    optimizer = torch.optim.SGD([quadratic()], lr=1.0)
    schedule = make_schedule(optimizer, settings, 200)
    for _ in range(100):
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.577, abs=1e-3)
