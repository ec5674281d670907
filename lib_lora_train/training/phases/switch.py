"""Applies the settings of a training phase to the learner.

What carries over from phase to phase: the network's weights, and everything the optimizer knows (moments, Prodigy's and
D-Adaptation's d, step counts), for parts that rest as well. What begins anew: the average of a schedule-free optimizer,
which would otherwise consist of the weights of earlier phases mostly. So a learner is the same whether it has just
finished a phase or was restored from the state saved then.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from ...batches.timeline import TrainingPhase
from ...blocks.names import block_of
from ...config.job import Job
from ...config.optimizer_args import has_one_rate
from ...config.phases.effective import PhaseSettings, network_of_all, phases_of
from ...errors import ConfigError
from ...networks.create import Network, ParameterGroup, options_of
from ...networks.keys import part_of
from ...networks.module import NetworkModule
from ..optimizers.create import RatedParameters
from ..optimizers.flat import FlatOptimizer
from ..optimizers.plain import PlainSteps
from ..optimizers.schedules import change_schedule, put_schedule
from ..step import Learner

_DROPOUTS = ("dropout", "rank_dropout", "module_dropout")


def part_rates(job: Job) -> dict[str, float]:
    """The learning rate of each part that ``job`` trains: ``unet``, ``text_encoder`` and ``text_encoder_2``."""
    optimizer, network = job.optimizer, job.network
    rates = {"unet": optimizer.unet_rate, "text_encoder": optimizer.text_encoder_rate,
             "text_encoder_2": optimizer.second_text_encoder_rate}
    return {part: rate for part, rate in rates.items() if rate > 0 and not (
        network.network_train_text_encoder_only if part == "unet" else network.network_train_unet_only)}


class PhaseSwitch:
    """The parts and groups of a run's network, and the rates that each phase trains them at."""

    def __init__(self, network: Network, job: Job) -> None:
        """``network`` holds what any phase of ``job`` trains; none of it may be frozen yet.

        Raises ``ConfigError`` if a phase trains nothing of it.
        """
        self._of_all = network_of_all(job).block_rates or {}
        self._one_rate = has_one_rate(job.optimizer)
        phases = phases_of(job)
        groups = [(group, [self._rate(group, phase.job) for phase in phases]) for group in network.parameter_groups()]
        _check_trained(phases, [rates for _, rates in groups])
        self._groups = [(group, next(filter(None, rates))) for group, rates in groups if any(rates)]
        self._trained = {key: [parameter for parameter in module.parameters() if parameter.requires_grad]
                         for key, module in {**network.text_encoder_modules, **network.unet_modules}.items()}

    @property
    def groups(self) -> list[RatedParameters]:
        """The parameters to create the optimizer with, each at its first rate."""
        return [RatedParameters(group.part, list(group.parameters), rate / group.rate_factor, group.rate_factor)
                for group, rate in self._groups]

    def apply(self, learner: Learner, phase: TrainingPhase, step: int) -> None:
        """Set what ``phase`` trains, and its rates after ``step`` steps of the run. Can be repeated."""
        job, network = phase.job, learner.model.network
        self._rest(job)
        network.eval()  # the next step switches trained modules, and only these, to training
        for module in network.loras():
            module.options = _with_dropouts(module, job)
        rates = self._rates(job)
        for (group, _), theirs, rate in zip(self._groups, learner.optimizer.param_groups, rates, strict=True):
            theirs["rate_factor"] = self._factor(group, job) or 1.0
            theirs["lr"] = rate
        change_schedule(learner.schedule, rates, job.scheduler, phase.curve_steps)
        put_schedule(learner.schedule, learner.optimizer, step - phase.curve_first)
        if isinstance(learner.descent, PlainSteps):
            learner.descent.limit_norm(job.optimizer.max_grad_norm)

    def _rest(self, job: Job) -> None:
        """Freeze the parts and blocks that ``job`` does not train."""
        parts, blocks = part_rates(job), job.network.block_rates or {}
        for key, parameters in self._trained.items():
            trains = part_of(key) in parts and blocks.get(block_of(key) or "", 1.0) > 0
            for parameter in parameters:
                parameter.requires_grad_(trains)

    def _rates(self, job: Job) -> list[float]:
        if not self._one_rate:
            return [self._rate(group, job) for group, _ in self._groups]
        parts = part_rates(job)  # which may hold one that the base does not have
        part = next(part for part in ("unet", *(group.part for group, _ in self._groups))
                    if part in parts and any(group.part == part for group, _ in self._groups))
        return [parts[part]] * len(self._groups)

    def _rate(self, group: ParameterGroup, job: Job) -> float:
        return part_rates(job).get(group.part, 0.0) * self._factor(group, job)

    def _factor(self, group: ParameterGroup, job: Job) -> float:
        """The factor of ``group`` in ``job``, where the network's own are those of all phases together."""
        own = (job.network.block_rates or {}).get(group.block or "", 1.0)
        return group.rate_factor * (own / (self._of_all.get(group.block or "") or 1.0)) if group.block else \
            group.rate_factor


def _check_trained(phases: Sequence[PhaseSettings], rates: Sequence[Sequence[float]]) -> None:
    """Raise ``ConfigError`` if a phase trains nothing of this network. ``rates``: of each group, in each phase."""
    for place, phase in enumerate(phases):
        if not any(of_group[place] for of_group in rates):
            raise ConfigError(f"training.phases, {phase.title}: nothing of this base model would be trained. Check the "
                              "learning rates, network.network_train_unet_only, "
                              "network.network_train_text_encoder_only and network.block_lr_weight.")


def begin_phase(learner: Learner) -> None:
    """What is done once, before the first step of a phase; doing it again before that step changes nothing."""
    optimizer: Any = getattr(learner.optimizer, "optimizer", learner.optimizer)  # unwrapped from accelerate
    if isinstance(optimizer, FlatOptimizer):
        optimizer.rejoin()
    if hasattr(optimizer, "eval"):
        _average_anew(optimizer)


@torch.no_grad()
def _average_anew(optimizer: Any) -> None:
    """Let a schedule-free optimizer (Defazio et al. 2024) continue from its average, and average from here on."""
    optimizer.eval()
    for group in optimizer.param_groups:
        group["weight_sum"] = 0.0
        group.pop("running_weight_sum", None)  # with ProdigyPlusScheduleFree, the sum within a step
        for parameter in group["params"]:
            if "z" in optimizer.state.get(parameter, {}):
                optimizer.state[parameter]["z"].copy_(parameter)
    optimizer.train()


def _with_dropouts(module: NetworkModule, job: Job) -> Any:
    wanted = options_of(job.network)
    return dataclasses.replace(module.options, **{name: getattr(wanted, name) for name in _DROPOUTS})
