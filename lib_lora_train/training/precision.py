"""Device and number formats of a run, through accelerate."""

from __future__ import annotations

import torch
from accelerate import Accelerator

from ..config.groups.training import TrainingSettings
from ..errors import ConfigError


def resolve_device(wanted: str) -> torch.device:
    """The device named, or the best there is for ``auto``. Raises ``ConfigError`` if it is not there."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return torch.device(next(name for name, there in available.items() if there))
    kind = wanted.split(":")[0]
    if not available.get(kind, False):
        there = ", ".join(name for name, is_there in available.items() if is_there)
        raise ConfigError(f"training.device is {wanted!r}, which this machine does not have. It has: {there}.")
    return torch.device(wanted)


def resolve_precision(wanted: str, device: torch.device) -> str:
    """``no``, ``fp16`` or ``bf16``; ``auto`` takes bf16 or fp16 on a GPU and none on the CPU.

    Raises ``ConfigError`` for fp16 on the CPU, where PyTorch cannot train in it.
    """
    if wanted == "auto":
        if device.type == "cuda":
            return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
        return "fp16" if device.type == "mps" else "no"
    if wanted == "fp16" and device.type == "cpu":
        raise ConfigError("training.mixed_precision is fp16, which does not train on the CPU. Use bf16 or no.")
    return wanted


def weight_dtype(precision: str) -> torch.dtype:
    """The format the frozen base weights are kept in."""
    return {"no": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]


def make_accelerator(settings: TrainingSettings) -> Accelerator:
    """accelerate's handle on device, autocast and gradient scaling."""
    device = resolve_device(settings.device)
    precision = resolve_precision(settings.mixed_precision, device)
    return Accelerator(mixed_precision=precision, cpu=device.type == "cpu")
