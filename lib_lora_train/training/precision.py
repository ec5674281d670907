"""Device and number formats of a run, through accelerate."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from accelerate import Accelerator

from ..config.groups.training import TrainingSettings
from ..errors import ConfigError
from .processor import computes_bf16

NONE, FP16, BF16 = "no", "fp16", "bf16"
_DTYPES = {NONE: torch.float32, FP16: torch.float16, BF16: torch.bfloat16}


@dataclass(frozen=True)
class Computing:
    """Where a run computes and in what: ``precision`` is ``no``, ``fp16`` or ``bf16``.

    ``unproven`` says that the precision was chosen by what the processor says of itself, and has to be tried.
    """

    device: torch.device
    precision: str
    unproven: bool = False

    @property
    def weight_dtype(self) -> torch.dtype:
        """The format the frozen base weights are computed with."""
        return _DTYPES[self.precision]

    def in_full_precision(self) -> Computing:
        """The same without mixed precision."""
        return replace(self, precision=NONE, unproven=False)

    def accelerator(self) -> Accelerator:
        """accelerate's handle on device, autocast and gradient scaling."""
        return Accelerator(mixed_precision=self.precision, cpu=self.device.type == "cpu")


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
    """``no``, ``fp16`` or ``bf16``; ``auto`` takes bf16 or fp16 on a GPU, and bf16 on a CPU that has it in hardware.

    Raises ``ConfigError`` for fp16 on the CPU, where PyTorch cannot train in it.
    """
    if wanted == "auto":
        if device.type == "cuda":
            return BF16 if torch.cuda.is_bf16_supported() else FP16
        if device.type == "mps":
            return FP16
        return BF16 if computes_bf16() else NONE
    if wanted == FP16 and device.type == "cpu":
        raise ConfigError("training.mixed_precision is fp16, which does not train on the CPU. Use bf16 or no.")
    return wanted


def resolve_computing(settings: TrainingSettings) -> Computing:
    """The device and precision that ``settings`` ask for. Raises ``ConfigError`` if they cannot be had."""
    device = resolve_device(settings.device)
    precision = resolve_precision(settings.mixed_precision, device)
    chosen = settings.mixed_precision == "auto" and device.type == "cpu" and precision != NONE
    return Computing(device, precision, unproven=chosen)
