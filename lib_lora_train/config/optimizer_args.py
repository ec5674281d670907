"""The arguments an optimizer is created with: its defaults, those implied by other settings, and those given."""

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
    """Parse ``["decouple=True", "betas=0.9,0.999"]``. Raises ``ConfigError`` for an argument that is not name=value."""
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
    """All optimizer arguments except the rate; ``optimizer_args`` override all others.

    Prodigy: ``d_coef``, and ``safeguard_warmup`` if the schedule has a warmup (as its README recommends). AdaFactor
    with ``relative_step=False`` uses the given rate: ``scale_parameter`` and ``warmup_init`` are off unless given.
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
    """Whether the optimizer has its own schedule and ignores the given rate, as AdaFactor can."""
    return OPTIMIZERS[optimizer.optimizer_type].own_schedule and bool(_readable(optimizer).get("relative_step"))


def has_one_rate(optimizer: OptimizerSettings) -> bool:
    """Whether the optimizer trains everything at one rate; block rates then go into the alphas."""
    return OPTIMIZERS[optimizer.optimizer_type].one_rate or sets_own_rate(optimizer)


def finds_own_rate(optimizer: OptimizerSettings) -> bool:
    """Whether the optimizer is adaptive with these settings: the given rate is a factor on its own, or unused."""
    facts = OPTIMIZERS[optimizer.optimizer_type]
    return sets_own_rate(optimizer) if facts.own_schedule else facts.adaptive


def scales_by_size(optimizer: OptimizerSettings) -> bool:
    """Whether AdaFactor scales the rate of each tensor by the magnitude of its values."""
    return OPTIMIZERS[optimizer.optimizer_type].own_schedule and bool(_readable(optimizer).get("scale_parameter"))


def _readable(optimizer: OptimizerSettings) -> dict[str, Any]:
    """The arguments; without the given ones if those are invalid, which ``problems_of`` reports."""
    try:
        return arguments_of(optimizer)
    except ConfigError:
        return dict(OPTIMIZERS[optimizer.optimizer_type].arguments)
