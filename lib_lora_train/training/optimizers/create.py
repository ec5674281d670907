"""Creates the optimizer of the job from the library that implements it."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import Parameter

from ...config.groups.optimizer import OptimizerSettings
from ...config.groups.scheduler import SchedulerSettings
from ...config.optimizer_args import arguments_of
from ...config.optimizer_facts import OPTIMIZERS
from ...errors import ConfigError
from .flat import FlatAveraging, FlatOptimizer
from .kernels import has_fused_kernel

JOINED: dict[str, tuple[str, ...]] = {"Lion": (), "DAdaptAdam": (), "DAdaptLion": (), "AdamWScheduleFree": (),
                                      "Prodigy": ("s", "p0")}
"""Optimizers without fused kernels whose tensors can be concatenated, with the states that are vectors."""
_BITSANDBYTES_ON_CPU = (0, 50)
"""From this version on, bitsandbytes trains without a GPU."""


@dataclass(frozen=True)
class RatedParameters:
    """Parameters that share a learning rate; ``part`` is ``unet`` or ``text_encoder``.

    ``learning_rate`` is the part's; the actual rate is ``rate_factor`` times that.
    """

    part: str
    parameters: list[Parameter]
    learning_rate: float
    rate_factor: float = 1.0


def make_optimizer(groups: Sequence[RatedParameters], settings: OptimizerSettings, warn: Callable[[str], None],
                   scheduler: SchedulerSettings | None = None, *, joins: bool = True) -> torch.optim.Optimizer:
    """The optimizer over ``groups``; groups with a rate of 0 are skipped. ``scheduler`` is the one that will run on
    it.

    Create it on the training device, which determines its kernels. Without ``joins`` each parameter can be stepped
    alone. If the optimizer supports only one rate, the UNet's is used for all and ``warn`` is called. Raises
    ``ConfigError`` if the optimizer does not know an argument, or needs a missing package or GPU.
    """
    kept = [group for group in groups if group.learning_rate > 0 and group.parameters]
    if not kept:
        raise ConfigError("Every learning rate is 0, so nothing would be trained. Set optimizer.learning_rate.")
    name = settings.optimizer_type
    arguments = arguments_of(settings, scheduler)
    kept = _with_rates_it_can_use(name, kept, warn)
    rows = [{"params": group.parameters, "lr": group.learning_rate * group.rate_factor, "part": group.part,
             "rate_factor": group.rate_factor} for group in kept]
    try:
        if name == "AdaFactor":
            return _make_adafactor(rows, arguments)
        arguments = {**_kernels(name, kept[0].parameters[0].device.type, arguments), **arguments}
        optimizer = _optimizer_class(name, kept, warn)(rows, lr=kept[0].learning_rate, **arguments)
    except (TypeError, ValueError, AssertionError) as problem:
        raise ConfigError(f"optimizer.optimizer_args {' '.join(settings.optimizer_args)!r} cannot be used with "
                          f"{name}: {problem}") from problem
    if hasattr(optimizer, "train"):
        optimizer.train()  # schedule-free optimizers start in evaluation mode
    if joins and name in JOINED:
        kind = FlatAveraging if hasattr(optimizer, "train") else FlatOptimizer
        return kind(optimizer, JOINED[name])
    return optimizer


def effective_rate(group: dict[str, Any], optimizer: torch.optim.Optimizer) -> float:
    """The actual rate of a parameter group: d·lr for D-Adaptation and Prodigy, else lr.

    AdaFactor's own rate, or its rate scaled by parameter size, is the mean over its parameters.
    """
    if group.get("relative_step") or group.get("scale_parameter"):
        rates = [float(optimizer._get_lr(group, optimizer.state[parameter]))  # type: ignore[attr-defined]
                 for parameter in group["params"] if optimizer.state.get(parameter)]
        return sum(rates) / len(rates) if rates else 0.0
    return float(group["lr"]) * float(group.get("shared_d") or group.get("d", 1.0))


@contextmanager
def averaged_weights(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """The weights for saving and sampling; schedule-free optimizers train on others (Defazio et al. 2024).

    Afterwards the training weights are restored bit for bit: the library recomputes them from the average, which
    rounds, so a copy of them is restored.
    """
    own: Any = getattr(optimizer, "optimizer", optimizer)  # unwrapped from accelerate
    if not hasattr(own, "eval"):
        yield
        return
    parameters = [parameter for group in own.param_groups for parameter in group["params"]]
    trained = [parameter.detach().clone() for parameter in parameters]
    own.eval()
    try:
        yield
    finally:
        own.train()
        with torch.no_grad():
            for parameter, weights in zip(parameters, trained, strict=True):
                parameter.copy_(weights)


def _with_rates_it_can_use(name: str, groups: list[RatedParameters],
                           warn: Callable[[str], None]) -> list[RatedParameters]:
    if not OPTIMIZERS[name].one_rate or len({group.learning_rate for group in groups}) == 1:
        return groups
    rate = next((group.learning_rate for group in groups if group.part == "unet"), groups[0].learning_rate)
    given = ", ".join(f"{group.learning_rate:g} for the {group.part.replace('_', ' ')}" for group in groups)
    warn(f"{name} supports only one learning rate ({given} were given), so {rate:g} is used for all.")
    return [dataclasses.replace(group, learning_rate=rate) for group in groups]


def _make_adafactor(rows: list[dict[str, Any]], arguments: dict[str, Any]) -> torch.optim.Optimizer:
    from transformers.optimization import Adafactor

    if not arguments.get("relative_step"):
        return Adafactor(rows, **arguments)
    rates = [row.pop("lr") for row in rows]
    optimizer = Adafactor(rows, lr=None, **arguments)
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate  # not used with relative_step, and a state cannot store a rate of None
    return optimizer


def _kernels(name: str, device: str, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments that select the fastest equivalent implementation, unless ``given`` selects one."""
    if given.keys() & {"fused", "foreach", "capturable", "differentiable"}:
        return {}
    if name == "AdamW":
        return {"fused": True} if has_fused_kernel(device) else {}
    if name == "SGDNesterov":
        return {"fused": True} if has_fused_kernel(device, torch.optim.SGD) else {}
    if name == "AdamWScheduleFree" and device == "cpu":
        return {"foreach": False}  # tensor by tensor, each stays in the processor's cache: a quarter faster
    return {}


def _optimizer_class(name: str, groups: Sequence[RatedParameters], warn: Callable[[str], None]) -> Any:
    if OPTIMIZERS[name].eight_bit:
        return _eight_bit_class(name, groups[0].parameters[0].device)
    if name == "AdamW":
        return torch.optim.AdamW
    if name == "SGDNesterov":
        return _sgd_nesterov
    if name == "Lion":
        from lion_pytorch import Lion
        return Lion
    if name == "AdamWScheduleFree":
        from schedulefree import AdamWScheduleFree
        return AdamWScheduleFree
    if name in ("DAdaptAdam", "DAdaptLion"):
        import dadaptation
        return getattr(dadaptation, name)
    if name == "ProdigyPlusScheduleFree":
        return functools.partial(_prodigy_plus_class(), report=warn)
    from .prodigy import Prodigy
    return Prodigy


def _sgd_nesterov(rows: list[dict[str, Any]], *, lr: float, momentum: float, weight_decay: float = 0.0,
                  fused: bool | None = None) -> torch.optim.Optimizer:
    return torch.optim.SGD(rows, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=True,
                           **({"fused": True} if fused else {}))  # missing in PyTorch 2.1


def _prodigy_plus_class() -> Any:
    try:
        from .prodigy_plus import ProdigyPlusScheduleFree
    except ImportError as problem:
        raise ConfigError("optimizer.optimizer_type ProdigyPlusScheduleFree needs the package "
                          f"prodigy-plus-schedule-free, which does not load here: {problem}. Use AdamWScheduleFree, "
                          "with a rate of about 0.0001, or Prodigy.") from problem
    return ProdigyPlusScheduleFree


def _eight_bit_class(name: str, device: torch.device) -> Any:
    twin = OPTIMIZERS[name].twin
    try:
        from bitsandbytes import optim

        version = importlib.metadata.version("bitsandbytes")
    except (ImportError, RuntimeError, OSError) as problem:
        raise ConfigError(f"optimizer.optimizer_type {name} needs the package bitsandbytes, which does not load here: "
                          f"{problem}. Use {twin}, which learns the same with more memory.") from problem
    if device.type != "cuda" and tuple(int(part) for part in version.split(".")[:2]) < _BITSANDBYTES_ON_CPU:
        raise ConfigError(f"optimizer.optimizer_type {name} needs an NVIDIA GPU with bitsandbytes {version}. Use "
                          f"{twin}, which learns the same with more memory.")
    if name == "SGDNesterov8bit":
        from .nesterov8bit import SGDNesterov8bit
        return SGDNesterov8bit
    return getattr(optim, name)
