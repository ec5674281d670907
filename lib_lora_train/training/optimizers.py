"""Making the optimizer that the job names."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import Parameter

from ..config.groups.optimizer import OptimizerSettings
from ..errors import ConfigError


@dataclass(frozen=True)
class RatedParameters:
    """Parameters that share a learning rate; ``part`` is ``unet`` or ``text_encoder``."""

    part: str
    parameters: list[Parameter]
    learning_rate: float


ADAPTIVE = frozenset({"Prodigy"})
"""Optimizers that find the learning rate by themselves; the rate given is a factor on theirs."""

# The guide, section Prodigy; AdamW: PyTorch's own betas and weight decay.
_DEFAULT_ARGUMENTS: dict[str, dict[str, Any]] = {
    "AdamW": {"betas": (0.9, 0.999), "weight_decay": 0.01},
    "Prodigy": {"decouple": True, "weight_decay": 0.01, "d_coef": 2.0, "use_bias_correction": True,
                "safeguard_warmup": False, "betas": (0.9, 0.999)},
}


def make_optimizer(groups: Sequence[RatedParameters], settings: OptimizerSettings) -> torch.optim.Optimizer:
    """The optimizer over ``groups``; groups with a rate of 0 are left out.

    Raises ``ConfigError`` if an argument is not one the optimizer knows, or rates differ where they cannot.
    """
    kept = [group for group in groups if group.learning_rate > 0 and group.parameters]
    if not kept:
        raise ConfigError("Every learning rate is 0, so nothing would be trained. Set optimizer.learning_rate.")
    name = settings.optimizer_type
    if name in ADAPTIVE and len({group.learning_rate for group in kept}) > 1:
        raise ConfigError(
            f"{name} cannot use different learning rates for UNet and text encoder "
            f"({' and '.join(f'{group.learning_rate:g}' for group in kept)}). Give the same rate to both, or 0 to one.")
    arguments = {**_DEFAULT_ARGUMENTS[name], **parse_arguments(settings.optimizer_args)}
    rows = [{"params": group.parameters, "lr": group.learning_rate, "part": group.part} for group in kept]
    try:
        return _optimizer_class(name)(rows, lr=kept[0].learning_rate, **arguments)
    except (TypeError, ValueError, AssertionError) as problem:
        raise ConfigError(f"optimizer.optimizer_args {' '.join(settings.optimizer_args)!r} cannot be used with "
                          f"{name}: {problem}") from problem


def parse_arguments(arguments: Sequence[str]) -> dict[str, Any]:
    """``["decouple=True", "betas=0.9,0.999"]`` as values. Raises ``ConfigError`` for one that is not name=value."""
    parsed: dict[str, Any] = {}
    for argument in arguments:
        name, equals, text = argument.strip().strip('"').partition("=")
        if not equals or not name.strip().isidentifier():
            raise ConfigError(f"optimizer.optimizer_args has {argument!r}. Write each as name=value, such as "
                              "weight_decay=0.01.")
        try:
            parsed[name.strip()] = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError):
            parsed[name.strip()] = text.strip()
    return parsed


def effective_rate(group: dict[str, Any]) -> float:
    """The rate a parameter group is really trained with: d·lr for adaptive optimizers, else lr."""
    return float(group["lr"]) * float(group.get("d", 1.0))


def _optimizer_class(name: str) -> Any:
    if name == "Prodigy":
        from prodigyopt import Prodigy
        return Prodigy
    return torch.optim.AdamW
