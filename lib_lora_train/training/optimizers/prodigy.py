"""Prodigy (Mishchenko and Defazio 2023, arXiv:2306.06101) with half of its step in one pass over the weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import prodigyopt
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim.adamw import adamw

from .kernels import has_fused_kernel

_LONG_AGO = 1e9
"""After so many steps AdamW's kernel corrects no bias any more; Prodigy has that correction in its rate."""


class Prodigy(prodigyopt.Prodigy):  # type: ignore[misc]
    """prodigyopt's Prodigy: the same arguments, states and results, but for rounding.

    Its moments are those of Adam for the gradient d·g, so moments and step are PyTorch's fused AdamW, which reads each
    value once. What is left are the sums that d follows from, <g, p0 - p> and |s|, which are read back together, and
    the weight decay: the kernel multiplies by a rounded 1 - decay, which is off by 1e-5 after a hundred steps.
    Where the kernel computes something else (``decouple=False``, no momentum, ``slice_p``, a group with a rate of 0) or
    is missing, the library steps.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One step for every parameter that has a gradient."""
        if not self._is_adam():
            return super().step(closure)
        loss = None if closure is None else closure()
        first = self.param_groups[0]
        beta1, beta2 = first["betas"]
        beta3 = math.sqrt(beta2) if first["beta3"] is None else first["beta3"]
        d, k, rate = first["d"], first["k"], first["lr"]
        correction = (1 - beta2 ** (k + 1)) ** 0.5 / (1 - beta1 ** (k + 1)) if first["use_bias_correction"] else 1.0
        step_size = d * rate * correction
        learned = [(group, parameter) for group in self.param_groups for parameter in group["params"]
                   if parameter.grad is not None]
        weights = [d / group["d0"] * (d if group["safeguard_warmup"] else step_size) for group, _ in learned]
        factors = [d / group["d0"] * step_size for group, _ in learned]
        sums = [self._sums(parameter, beta3, weight) for (_, parameter), weight in zip(learned, weights, strict=True)]
        if not sums:
            return loss
        dots, lengths = torch.stack([torch.stack(column) for column in zip(*sums, strict=True)]).tolist()
        numerator = first["d_numerator"] * beta3 + sum(map(float.__mul__, factors, dots))
        if sum(lengths) == 0:
            return loss
        found = _found(first, numerator, sum(lengths))
        for group in self.param_groups:
            group.update(found, k=group["k"] + 1)
            _adam(group, self.state, (beta1, beta2), step_size, d)
        return loss

    def _is_adam(self) -> bool:
        first = self.param_groups[0]
        plain = all(group["decouple"] and group["slice_p"] == 1 and not group["fsdp_in_use"] and
                    group["lr"] == first["lr"] > 0 for group in self.param_groups)
        kinds = {(parameter.device.type, parameter.dtype) for group in self.param_groups
                 for parameter in group["params"]}
        return plain and first["betas"][0] > 0 and all(
            dtype == torch.float32 and has_fused_kernel(device) for device, dtype in kinds)

    def _sums(self, parameter: Parameter, beta3: float, weight: float) -> tuple[Tensor, Tensor]:
        """<g, p0 - p> and, after it has taken in ``weight`` · g, |s|."""
        gradient = parameter.grad
        assert gradient is not None
        state = self.state[parameter]
        flat, values = gradient.reshape(-1), parameter.detach().reshape(-1)
        if "step" not in state:
            began_at_zero = not bool(values.any())
            state.update(step=0, s=torch.zeros_like(values), exp_avg=torch.zeros_like(parameter),
                         exp_avg_sq=torch.zeros_like(parameter),
                         p0=values.new_zeros(()) if began_at_zero else values.clone())
        p0 = state["p0"]
        way = torch.dot(flat, p0 - values) if p0.ndim else -torch.dot(flat, values)  # one value stands for all zeros
        s = state["s"].mul_(beta3).add_(flat, alpha=weight)
        return way, s.abs().sum()


def _found(group: dict[str, Any], numerator: float, denominator: float) -> dict[str, float]:
    """The new d, and what it was found from: as ``group`` of the library keeps them."""
    d_hat = group["d_coef"] * numerator / denominator
    d = max(group["d"], d_hat) if group["d"] == group["d0"] else group["d"]
    d_max = max(group["d_max"], d_hat)
    return {"d_numerator": numerator, "d_denom": denominator, "d": min(d_max, d * group["growth_rate"]),
            "d_max": d_max, "d_hat": d_hat}


def _adam(group: dict[str, Any], states: dict[Any, dict[str, Any]], betas: tuple[float, float], step_size: float,
          scale: float) -> None:
    """Weight decay and Adam's step for the gradients of ``group`` times ``scale``, without bias correction."""
    parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
    if not parameters:
        return
    own = [states[parameter] for parameter in parameters]
    for parameter, state in zip(parameters, own, strict=True):
        state["step"] += 1
        if group["weight_decay"]:
            parameter.add_(parameter, alpha=-group["weight_decay"] * step_size)
    device = parameters[0].device
    adamw(parameters, [parameter.grad for parameter in parameters], [state["exp_avg"] for state in own],
          [state["exp_avg_sq"] for state in own], [], [torch.full((), _LONG_AGO, device=device)] * len(parameters),
          fused=True, foreach=False, grad_scale=torch.full((), 1 / scale, device=device), amsgrad=False,
          beta1=betas[0], beta2=betas[1], lr=step_size, weight_decay=0.0, eps=group["d"] * group["eps"],
          maximize=False)
