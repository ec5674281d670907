"""A device as measurements need it: when it is done, the most memory that was in use, and how fast it multiplies."""

from __future__ import annotations

import gc
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import psutil
import torch

_CEILING_SECONDS = 0.5


def wait_for(device: torch.device) -> None:
    """Until all that was asked of ``device`` is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def clear(device: torch.device) -> None:
    """Give back what is not used any more, and count the peak from here on."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(device: torch.device) -> dict[str, int]:
    """The most since ``clear``: in tensors, and what PyTorch took from the GPU for them; of a CPU, what is in use."""
    if device.type == "cuda":
        return {"allocated_bytes": torch.cuda.max_memory_allocated(device),
                "reserved_bytes": torch.cuda.max_memory_reserved(device)}
    return {"resident_bytes": int(psutil.Process().memory_info().rss)}


def seconds_of(work: Callable[[], Any], device: torch.device) -> float:
    """How long ``work`` takes until ``device`` is done with it."""
    wait_for(device)
    began = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - began


def describe(device: torch.device) -> dict[str, Any]:
    """What the figures were measured on."""
    about: dict[str, Any] = {"device": str(device), "torch": torch.__version__, "python": platform.python_version(),
                             "system": platform.platform()}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        about |= {"name": properties.name, "memory_bytes": properties.total_memory, "cuda": torch.version.cuda,
                  "capability": f"{properties.major}.{properties.minor}", "cudnn": torch.backends.cudnn.version()}
    return about


def matmul_ceiling(device: torch.device, side: int) -> dict[str, float]:
    """Floating-point operations a second in products of ``side`` x ``side`` matrices, by number format."""
    return {str(dtype).removeprefix("torch."): _products(device, side, dtype)
            for dtype in (torch.bfloat16, torch.float16, torch.float32)}


def _products(device: torch.device, side: int, dtype: torch.dtype) -> float:
    one, other = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty_like(one)

    def multiply() -> None:
        torch.mm(one, other, out=out)

    first = seconds_of(multiply, device)  # not counted: libraries are loaded and kernels chosen
    times: list[float] = []
    until = time.perf_counter() + max(_CEILING_SECONDS, 2 * first)
    while time.perf_counter() < until or len(times) < 3:
        times.append(seconds_of(multiply, device))
    return 2 * side ** 3 / statistics.median(times)
