"""SGD with Nesterov momentum stored in 8 bit. bitsandbytes accepts the flag and ignores it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from bitsandbytes.optim import SGD8bit  # type: ignore[attr-defined,unused-ignore]


class SGDNesterov8bit(SGD8bit):  # type: ignore[misc]
    """bitsandbytes' SGD8bit with Nesterov's look-ahead (Sutskever et al. 2013, as in torch.optim.SGD).

    With g the gradient, v the momentum and p' = p - lr·v the result of SGD8bit, Nesterov's step p - lr·(g + μ·v) is p
    - μ·(p - p') - lr·g. Weight decay is part of g.
    """

    def __init__(self, params: Any, lr: float, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One step for every parameter that has a gradient."""
        before = [(group, parameter, parameter.detach().clone(), self._gradient(group, parameter))
                  for group in self.param_groups for parameter in group["params"] if parameter.grad is not None]
        result = super().step(closure)
        for group, parameter, old, gradient in before:
            momentum = group["betas"][0]
            parameter.copy_(old - momentum * (old - parameter) - group["lr"] * gradient)
        return result

    @staticmethod
    def _gradient(group: dict[str, Any], parameter: torch.Tensor) -> torch.Tensor:
        assert parameter.grad is not None
        gradient = parameter.grad.detach().clone()
        return gradient + group["weight_decay"] * parameter.detach() if group["weight_decay"] else gradient
