"""Combinations of optimizer, rate, schedule and network that run but learn too little or too much."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from ..config.groups.network import IA3, LOKR, NetworkSettings
from ..config.groups.optimizer import OptimizerSettings
from ..config.job import Job
from ..config.optimizer_args import (
    arguments_of,
    averages_weights,
    finds_own_rate,
    multiplies_rate,
    parse_arguments,
    scales_by_size,
    sets_own_rate,
)
from ..config.optimizer_facts import OPTIMIZERS
from ..errors import ConfigError
from .schedule import trained_rates
from .surroundings import Note, Surroundings

LOW_RANK = 8
_USUAL, _LOW, _IA3 = 2.0, 4.0, 8.0
_LOWEST_FACTOR, _HIGHEST_FACTOR = 0.01, 5.0
_LEAST_FOR_IA3 = 5e-4
_BY_DIRECTION = ("Lion", "Lion8bit", "AdaFactor")
DEFAULT_NORM = OptimizerSettings().max_grad_norm


def proposed_d_coef(network: NetworkSettings, usual: float = _USUAL) -> tuple[float, str]:
    """The ``d_coef`` for a network type and rank, and the reason in words. ``usual``: the optimizer's, 2 for Prodigy.

    Prodigy: 0.5 to 2 for most; up to 10 where a network learns little per step: (IA)^3 (8 to 10), LoKR, ranks up to 8.
    """
    share = usual / _USUAL
    if network.network_type == IA3:
        return _IA3 * share, IA3
    if network.network_type == LOKR:
        return _LOW * share, LOKR
    if network.network_dim <= LOW_RANK:
        return _LOW * share, f"a dim of {network.network_dim}"
    return usual, f"a dim of {network.network_dim}"


def with_d_coef(job: Job) -> Job:
    """``job`` with the proposed ``optimizer.d_coef``, if the optimizer has one and it is not set."""
    usual = OPTIMIZERS[job.optimizer.optimizer_type].usual_d_coef
    if usual is None or _given_d_coef(job) is not None:
        return job
    d_coef = proposed_d_coef(job.network, usual)[0]
    return dataclasses.replace(job, optimizer=dataclasses.replace(job.optimizer, d_coef=d_coef))


def guard_notes(job: Job) -> Iterator[Note]:
    """Notes on the current optimizer settings, one sentence each."""
    try:
        arguments_of(job.optimizer)
    except ConfigError:
        return  # problems_of reports what is invalid
    yield from _about_factor(job)
    yield from _about_d_coef(job)
    yield from _about_schedule(job)
    yield from _about_adafactor(job)
    if OPTIMIZERS[job.optimizer.optimizer_type].clips and job.optimizer.max_grad_norm:
        yield Note("optimizer.max_grad_norm", f"optimizer.max_grad_norm is {job.optimizer.max_grad_norm:g}, but "
                                              f"{job.optimizer.optimizer_type} limits each step by itself, and clipped "
                                              "gradients mislead it about the rate. Set it to 0.")
    if job.optimizer.optimizer_type in _BY_DIRECTION and job.optimizer.max_grad_norm not in (0, DEFAULT_NORM):
        yield Note("optimizer.max_grad_norm", f"optimizer.max_grad_norm does little with {job.optimizer.optimizer_type}"
                                              ", which uses the direction of the gradient, not its size.")
    rates = [rate for rate in trained_rates(job) if rate is not None]
    if job.network.network_type == IA3 and not finds_own_rate(job.optimizer) and max(rates, default=1) < _LEAST_FOR_IA3:
        yield Note("optimizer.learning_rate", f"optimizer.learning_rate: at {max(rates):g} (IA)^3 learns next to "
                                              "nothing. It needs 8 to 10 times the usual rate, about 0.001.")


def _about_factor(job: Job) -> Iterator[Note]:
    optimizer = job.optimizer
    if not multiplies_rate(optimizer):
        return
    unet, text_encoder = trained_rates(job)
    rates = {"unet_lr": unet, "text_encoder_lr": text_encoder}
    if OPTIMIZERS[optimizer.optimizer_type].one_rate and unet is not None:
        del rates["text_encoder_lr"]  # it has the UNet's
    used = {f"optimizer.{'learning_rate' if getattr(optimizer, own) is None else own}": rate
            for own, rate in rates.items() if rate is not None}
    for key, rate in used.items():
        if _LOWEST_FACTOR <= rate <= _HIGHEST_FACTOR:
            continue
        effect = "so almost nothing would be learned" if rate < _LOWEST_FACTOR else "which burns the LoRA"
        yield Note(key, f"{key} is {rate:g}, but {optimizer.optimizer_type} finds the rate by itself and multiplies "
                        f"it by this, {effect}. Set it to 1.")


def cpu_notes(job: Job, around: Surroundings) -> Iterator[Note]:
    """A note on an 8-bit optimizer on the CPU, whose kernels (bitsandbytes 0.50) convert value by value."""
    name = job.optimizer.optimizer_type
    if around.device == "cpu" and OPTIMIZERS[name].eight_bit:
        twin = OPTIMIZERS[name].twin
        yield Note("optimizer.optimizer_type", f"optimizer.optimizer_type: {name} saves GPU memory, which a run on the "
                                               f"CPU does not use, and takes many times as long there as {twin}: about "
                                               f"a tenth of each step. Use {twin}, which learns the same.")


def _given_d_coef(job: Job) -> float | None:
    given = parse_arguments(job.optimizer.optimizer_args).get("d_coef", job.optimizer.d_coef)
    return float(given) if isinstance(given, (int, float)) else None


def _about_d_coef(job: Job) -> Iterator[Note]:
    name = job.optimizer.optimizer_type
    usual = OPTIMIZERS[name].usual_d_coef
    if usual is None:
        return
    given, (proposed, words) = _given_d_coef(job), proposed_d_coef(job.network, usual)
    if given is None:
        if proposed != usual:
            yield Note("optimizer.d_coef", f"optimizer.d_coef is empty, so {proposed:g} is used, which suits {words}.")
    elif given < usual == OPTIMIZERS[name].least_d_coef:
        yield Note("optimizer.d_coef", f"optimizer.d_coef is {given:g}, with which {name} may never raise its rate. "
                                       f"Use {usual:g} or more, or leave it empty.")
    elif proposed > _USUAL >= given:
        yield Note("optimizer.d_coef", f"optimizer.d_coef is {given:g}, too little for {words}. Use "
                                       f"{proposed:g}, up to 10, or leave it empty.")
    elif given > _USUAL >= proposed:
        yield Note("optimizer.d_coef", f"optimizer.d_coef is {given:g}, too much for {words}. Use 0.5 to "
                                       "2; more is for (IA)^3, LoKR and dims of 8 or less.")


def _about_schedule(job: Job) -> Iterator[Note]:
    name, scheduler = job.optimizer.optimizer_type, job.scheduler
    plain = scheduler.lr_scheduler in ("constant", "constant_with_warmup")
    key = "scheduler.lr_scheduler" if not plain else "scheduler.lr_warmup_steps"
    if name.startswith("DAdapt") and (not plain or scheduler.has_warmup):
        what = f"lr_scheduler is {scheduler.lr_scheduler}" if not plain else "lr_warmup_steps is not 0"
        yield Note(key, f"scheduler.{what}, but {name} finds the rate by itself and expects it to stay at 1. Use "
                        "constant without a warmup.")
    if averages_weights(job.optimizer) and not plain:
        yield Note(key, f"scheduler.lr_scheduler is {scheduler.lr_scheduler}, but {name} averages the weights instead "
                        f"of following a schedule. Use constant.")
    if "safeguard_warmup" in OPTIMIZERS[name].arguments and scheduler.has_warmup:
        given = parse_arguments(job.optimizer.optimizer_args)
        if given.get("safeguard_warmup", True):
            yield Note("scheduler.lr_warmup_steps", f"scheduler.lr_warmup_steps: with a warmup, {name} needs "
                                                    "safeguard_warmup=True, which is switched on.")
        else:
            yield Note("optimizer.optimizer_args", "optimizer.optimizer_args has safeguard_warmup=False, with which "
                                                   f"{name} finds too high a rate during the warmup. Leave it out, or "
                                                   "set lr_warmup_steps to 0.")


def _about_adafactor(job: Job) -> Iterator[Note]:
    optimizer = job.optimizer
    if not OPTIMIZERS[optimizer.optimizer_type].own_schedule or sets_own_rate(optimizer):
        return
    if scales_by_size(optimizer):
        yield Note("optimizer.optimizer_args", "optimizer.optimizer_args has scale_parameter=True, so the rate of each "
                                               "layer is multiplied by the size of its weights, which are near 0 in a "
                                               "new LoRA. Leave it out to train at the rate you set.")
    elif "scale_parameter" not in parse_arguments(optimizer.optimizer_args):
        yield Note("optimizer.optimizer_args", "optimizer.optimizer_args has relative_step=False, so AdaFactor trains "
                                               "at the rate you set; scale_parameter and warmup_init are off.")
