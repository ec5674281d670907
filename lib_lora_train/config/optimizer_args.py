"""What an optimizer is really made with: its own defaults, what other settings ask for, and the arguments given."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from ..errors import ConfigError
from .groups.optimizer import OptimizerSettings
from .groups.scheduler import SchedulerSettings
from .optimizer_facts import OPTIMIZERS

_WORDS = {"true": True, "false": False, "none": None}


def parse_arguments(arguments: Sequence[str]) -> dict[str, Any]:
    """``["decouple=True", "betas=0.9,0.999"]`` as values. Raises ``ConfigError`` for one that is not name=value."""
    parsed: dict[str, Any] = {}
    for argument in arguments:
        name, equals, text = argument.strip().strip('"').partition("=")
        if not equals or not name.strip().isidentifier():
            raise ConfigError(f"optimizer.optimizer_args has {argument!r}. Write each as name=value, such as "
                              "weight_decay=0.01.")
        parsed[name.strip()] = _value(text.strip())
    return parsed


def _value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def arguments_of(optimizer: OptimizerSettings, scheduler: SchedulerSettings | None = None) -> dict[str, Any]:
    """Every argument of the optimizer but the rate; ``optimizer_args`` win over all others.

    Prodigy: ``d_coef``, and ``safeguard_warmup`` where the schedule has a warmup (its README asks for it). AdaFactor
    with ``relative_step=False`` uses the rate as it is: ``scale_parameter`` and ``warmup_init`` are off unless given.
    Raises ``ConfigError`` if ``optimizer_args`` cannot be read.
    """
    given = parse_arguments(optimizer.optimizer_args)
    found = dict(OPTIMIZERS[optimizer.optimizer_type].arguments)
    if optimizer.optimizer_type == "Prodigy":
        if optimizer.d_coef is not None:
            found["d_coef"] = optimizer.d_coef
        if scheduler is not None and scheduler.has_warmup:
            found["safeguard_warmup"] = True
    if optimizer.optimizer_type == "AdaFactor" and not given.get("relative_step", True):
        found |= {"scale_parameter": False, "warmup_init": False}
    return {**found, **given}


def sets_own_rate(optimizer: OptimizerSettings) -> bool:
    """Whether the optimizer has its own schedule and uses no rate that is given, as AdaFactor does."""
    return OPTIMIZERS[optimizer.optimizer_type].own_schedule and bool(_readable(optimizer).get("relative_step"))


def has_one_rate(optimizer: OptimizerSettings) -> bool:
    """Whether the optimizer trains everything at one rate; the rates of blocks are in their alphas then."""
    return OPTIMIZERS[optimizer.optimizer_type].one_rate or sets_own_rate(optimizer)


def finds_own_rate(optimizer: OptimizerSettings) -> bool:
    """Whether the optimizer is adaptive as it is set: the rate given is a factor on the one it finds, or not used."""
    facts = OPTIMIZERS[optimizer.optimizer_type]
    return sets_own_rate(optimizer) if facts.own_schedule else facts.adaptive


def scales_by_size(optimizer: OptimizerSettings) -> bool:
    """Whether AdaFactor multiplies the rate of each tensor with the size of its values."""
    return OPTIMIZERS[optimizer.optimizer_type].own_schedule and bool(_readable(optimizer).get("scale_parameter"))


def _readable(optimizer: OptimizerSettings) -> dict[str, Any]:
    """The arguments, without those given if they cannot be read, which ``problems_of`` reports."""
    try:
        return arguments_of(optimizer)
    except ConfigError:
        return dict(OPTIMIZERS[optimizer.optimizer_type].arguments)
