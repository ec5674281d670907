"""What the processor can compute in hardware."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

_CPU_INFO = Path("/proc/cpuinfo")
# As PyTorch, Linux and macOS name them. On Arm the feature is called just that.
_BF16 = frozenset({"avx512_bf16", "amx_bf16"})
_BF16_ON_ARM = frozenset({"bf16"})
_TORCH_ASKS = {"avx512_bf16": "_is_avx512_bf16_supported", "amx_bf16": "_is_amx_tile_supported"}
_ARM = ("aarch64", "arm64")
_SYSCTL_SECONDS = 5.0


def computes_bf16() -> bool:
    """Whether this CPU multiplies matrices of bf16 in hardware: AVX512-BF16, AMX or Arm's BF16.

    Elsewhere bf16 works too, but is emulated and slower than float32.
    """
    return has_bf16(processor_flags(), platform.machine())


def has_bf16(flags: frozenset[str], machine: str) -> bool:
    """Whether a processor with ``flags``, on a machine of the kind that ``platform.machine()`` names, has bf16."""
    wanted = _BF16_ON_ARM if machine.lower() in _ARM else _BF16
    return bool(wanted & flags)


def processor_flags() -> frozenset[str]:
    """The names of the processor's features, from PyTorch if it lists them, else from the system; may be empty."""
    found = _flags_of_torch()
    if not found and _CPU_INFO.is_file():
        found = flags_in(_CPU_INFO.read_text(encoding="utf-8", errors="replace"))
    if not found and sys.platform == "darwin":
        found = _flags_of_macos()
    return found


def flags_in(cpu_info: str) -> frozenset[str]:
    """The features that the first processor has in the text of /proc/cpuinfo ("flags" on x86, "Features" on Arm)."""
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
