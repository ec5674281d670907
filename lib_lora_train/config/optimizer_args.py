"""The arguments an optimizer is created with: its defaults, those implied by other settings, and those given."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from ..errors import ConfigError
from ..files.json_file import is_finite
from .groups.optimizer import OptimizerSettings
from .groups.scheduler import SchedulerSettings
from .optimizer_facts import OPTIMIZERS

_WORDS = {"true": True, "false": False, "none": None}


def parse_arguments(arguments: Sequence[str]) -> dict[str, Any]:
    """Parse ``["decouple=True", "betas=0.9,0.999"]``.

    Raises ``ConfigError`` for an argument that is not name=value, and for numbers beyond any float.
    """
    parsed: dict[str, Any] = {}
    for argument in arguments:
        name, equals, text = argument.strip().strip('"').partition("=")
        if not equals or not name.strip().isidentifier():
            raise ConfigError(f"optimizer.optimizer_args has {argument!r}. Write each as name=value, such as "
                              "weight_decay=0.01.")
        value = parsed[name.strip()] = _value(text.strip())
        numbers = value if isinstance(value, (tuple, list)) else [value]
        if any(isinstance(number, (int, float)) and not is_finite(number) for number in numbers):
            raise ConfigError(f"optimizer.optimizer_args has {argument[:60]!r}, which is too large for a number.")
    return parsed


def _value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # the last two: thousands of brackets
        return text


def arguments_of(optimizer: OptimizerSettings, scheduler: SchedulerSettings | None = None) -> dict[str, Any]:
    """All optimizer arguments except the rate; ``optimizer_args`` override all others.

    ``d_coef`` where the optimizer has it; Prodigy: ``safeguard_warmup`` if the schedule has a warmup (as its README
    recommends). AdaFactor with ``relative_step=False`` uses the given rate: ``scale_parameter`` and ``warmup_init``
    are off unless given.
    Raises ``ConfigError`` if ``optimizer_args`` cannot be read.
    """
    given = parse_arguments(optimizer.optimizer_args)
    found = dict(OPTIMIZERS[optimizer.optimizer_type].arguments)
    if "d_coef" in found and optimizer.d_coef is not None:
        found["d_coef"] = optimizer.d_coef
    if "safeguard_warmup" in found and scheduler is not None and scheduler.has_warmup:
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


def multiplies_rate(optimizer: OptimizerSettings) -> bool:
    """Whether the given rate is a factor on the one that the optimizer finds."""
    return finds_own_rate(optimizer) and not sets_own_rate(optimizer)


def averages_weights(optimizer: OptimizerSettings) -> bool:
    """Whether the saved weights are an average, in place of a schedule; ``use_schedulefree=False`` turns that off."""
    return OPTIMIZERS[optimizer.optimizer_type].averages and bool(_readable(optimizer).get("use_schedulefree", True))


def scales_by_size(optimizer: OptimizerSettings) -> bool:
    """Whether AdaFactor scales the rate of each tensor by the magnitude of its values."""
    return OPTIMIZERS[optimizer.optimizer_type].own_schedule and bool(_readable(optimizer).get("scale_parameter"))


def _readable(optimizer: OptimizerSettings) -> dict[str, Any]:
    """The arguments; without the given ones if those are invalid, which ``problems_of`` reports."""
    try:
        return arguments_of(optimizer)
    except ConfigError:
        return dict(OPTIMIZERS[optimizer.optimizer_type].arguments)
