"""PyTorch's fused optimizer kernels, which compute a whole step in one pass: availability and use."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim.adamw import adamw

_LONG_AGO = 1e9
"""A step number so high that AdamW's kernel applies no bias correction."""


@lru_cache
def has_fused_kernel(device: str, kind: type[torch.optim.Optimizer] = torch.optim.AdamW) -> bool:
    """Whether ``kind`` has a fused kernel on ``device``, a device type: PyTorch 2.1 has AdamW's on CUDA only."""
    try:
        kind([Parameter(torch.zeros(1, device=device))], lr=1.0, fused=True)  # type: ignore[call-arg]
    except (RuntimeError, TypeError):
        return False
    return True


def adam_step(parameters: Sequence[Parameter], moments: tuple[list[Tensor], list[Tensor]], betas: tuple[float, float],
              rate: float, eps: float, gradient_scale: float) -> None:
    """Adam's step for the gradients times ``gradient_scale``, without bias correction, in one pass.

    ``moments`` are those of each parameter: exp_avg and exp_avg_sq.
    """
    device = parameters[0].device
    adamw(list(parameters), [parameter.grad for parameter in parameters if parameter.grad is not None], *moments, [],
          [torch.full((), _LONG_AGO, device=device)] * len(parameters), fused=True, foreach=False,
          grad_scale=torch.full((), 1 / gradient_scale, device=device), amsgrad=False,
          beta1=betas[0], beta2=betas[1], lr=rate, weight_decay=0.0, eps=eps, maximize=False)


def steps_as_adam(groups: Sequence[dict[str, Any]]) -> bool:
    """Whether every parameter of an optimizer based on Adam can be stepped by ``adam_step``.

    Requires decoupled weight decay, momentum, and the same non-zero rate for all groups. Apple's kernel cannot scale
    gradients.
    """
    rate = groups[0]["lr"]
    plain = all(group["decouple"] and not group["fsdp_in_use"] and group["lr"] == rate > 0 for group in groups)
    kinds = {(parameter.device.type, parameter.dtype) for group in groups for parameter in group["params"]}
    return plain and groups[0]["betas"][0] > 0 and all(
        dtype == torch.float32 and device in ("cpu", "cuda") and has_fused_kernel(device) for device, dtype in kinds)


def learned_of(group: dict[str, Any]) -> list[Parameter]:
    """The parameters of ``group`` that have a gradient."""
    return [parameter for parameter in group["params"] if parameter.grad is not None]


def read_together(sums: Sequence[tuple[Tensor, ...]]) -> list[list[float]]:
    """Single values of many tensors as columns of numbers, with one device synchronization."""
    columns: list[list[float]] = torch.stack([torch.stack(column) for column in zip(*sums, strict=True)]).tolist()
    return columns
