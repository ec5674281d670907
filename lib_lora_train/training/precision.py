"""Device and precision of a run, through accelerate."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator

from ..config.groups.training import TrainingSettings
from ..errors import ConfigError

_SMALLEST_IN_BF16 = 64
"""In pixels. Below it, the UNet's last downsampling has a single latent as input, where oneDNN (3.x, as in PyTorch
2.13) leaves part of the gradient of a bf16 convolution with stride 2 uninitialized, which is sometimes NaN.
"""
NONE, FP16, BF16 = "no", "fp16", "bf16"
_DTYPES = {NONE: torch.float32, FP16: torch.float16, BF16: torch.bfloat16}
_CPU_INFO = Path("/proc/cpuinfo")
# Names in PyTorch, Linux and macOS. On Arm the feature is just "bf16".
_BF16 = frozenset({"avx512_bf16", "amx_bf16"})
_BF16_ON_ARM = frozenset({"bf16"})
_TORCH_ASKS = {"avx512_bf16": "_is_avx512_bf16_supported", "amx_bf16": "_is_amx_tile_supported"}
_ARM = ("aarch64", "arm64")
_SYSCTL_SECONDS = 5.0


@dataclass(frozen=True)
class Computing:
    """The device and precision of a run: ``precision`` is ``no``, ``fp16`` or ``bf16``.

    ``unproven``: the precision follows the processor's reported features, and has to be tested.
    """

    device: torch.device
    precision: str
    unproven: bool = False

    @property
    def weight_dtype(self) -> torch.dtype:
        """The dtype that the frozen base weights are used in."""
        return _DTYPES[self.precision]

    def in_full_precision(self) -> Computing:
        """A copy without mixed precision."""
        return replace(self, precision=NONE, unproven=False)

    def accelerator(self) -> Accelerator:
        """accelerate's handle for device, autocast and gradient scaling."""
        return Accelerator(mixed_precision=self.precision, cpu=self.device.type == "cpu")


def resolve_device(wanted: str) -> torch.device:
    """The named device, or the best available one for ``auto``. Raises ``ConfigError`` if it is not available."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return torch.device(next(name for name, there in available.items() if there))
    kind = wanted.split(":")[0]
    if not available.get(kind, False):
        there = ", ".join(name for name, is_there in available.items() if is_there)
        raise ConfigError(f"training.device is {wanted!r}, which this machine does not have. It has: {there}.")
    return torch.device(wanted)


def resolve_precision(wanted: str, device: torch.device) -> str:
    """``no``, ``fp16`` or ``bf16``; ``auto`` is bf16 or fp16 on a GPU, and bf16 on a CPU with hardware support.

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


def resolve_computing(settings: TrainingSettings, smallest_side: int) -> Computing:
    """The device and precision for ``settings``, with images of at least ``smallest_side`` pixels per side.

    Raises ``ConfigError`` if they are not available.
    """
    device = resolve_device(settings.device)
    computing = Computing(device, resolve_precision(settings.mixed_precision, device))
    if settings.mixed_precision != "auto" or device.type != "cpu" or computing.precision == NONE:
        return computing
    if smallest_side < _SMALLEST_IN_BF16:
        return computing.in_full_precision()
    return replace(computing, unproven=True)


def auto_precision(settings: TrainingSettings, smallest_side: int) -> str:
    """The precision that ``auto`` chooses where ``settings`` train, before any test of it: ``no``, ``fp16``, ``bf16``.

    Raises ``ConfigError`` as ``resolve_computing``.
    """
    return resolve_computing(replace(settings, mixed_precision="auto"), smallest_side).precision


def computes_bf16() -> bool:
    """Whether this CPU multiplies bf16 matrices in hardware: AVX512-BF16, AMX or Arm's BF16.

    Elsewhere bf16 is emulated and slower than float32.
    """
    return has_bf16(processor_flags(), platform.machine())


def has_bf16(flags: frozenset[str], machine: str) -> bool:
    """Whether a processor with ``flags`` supports bf16; ``machine`` is from ``platform.machine()``."""
    wanted = _BF16_ON_ARM if machine.lower() in _ARM else _BF16
    return bool(wanted & flags)


def processor_flags() -> frozenset[str]:
    """The processor's feature flags, from PyTorch if it lists them, else from the system; may be empty."""
    found = _flags_of_torch()
    if not found and _CPU_INFO.is_file():
        found = flags_in(_CPU_INFO.read_text(encoding="utf-8", errors="replace"))
    if not found and sys.platform == "darwin":
        found = _flags_of_macos()
    return found


def flags_in(cpu_info: str) -> frozenset[str]:
    """The feature flags of the first processor in the text of /proc/cpuinfo ("flags" on x86, "Features" on Arm)."""
    for line in cpu_info.splitlines():
        name, _, values = line.partition(":")
        if name.strip().lower() in ("flags", "features"):
            return frozenset(values.split())
    return frozenset()


def _flags_of_torch() -> frozenset[str]:
    listed = getattr(torch.cpu, "get_capabilities", None)  # since PyTorch 2.10
    capabilities: Mapping[str, object] = listed() if listed is not None else {}
    if capabilities:
        return frozenset(name for name, value in capabilities.items() if value is True)
    return frozenset(flag for flag, name in _TORCH_ASKS.items() if getattr(torch.cpu, name, lambda: False)())


def _flags_of_macos() -> frozenset[str]:
    try:
        answer = subprocess.run(["sysctl", "-n", "hw.optional.arm.FEAT_BF16"], capture_output=True, text=True,
                                timeout=_SYSCTL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    return frozenset({"bf16"}) if answer.stdout.strip() == "1" else frozenset()
