"""Prodigy (Mishchenko and Defazio 2023, arXiv:2306.06101) with half of its step in one pass over the weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import prodigyopt
import torch
from torch import Tensor
from torch.nn import Parameter

from .kernels import adam_step, learned_of, read_together, steps_as_adam


class Prodigy(prodigyopt.Prodigy):  # type: ignore[misc]
    """prodigyopt's Prodigy: same arguments and states, and the same results up to rounding.

    Its moments are those of Adam for the gradient d·g, so moments and step use PyTorch's fused AdamW, which reads each
    value once. What remains are the sums that determine d, <g, p0 - p> and |s|, which are read back together, and the
    weight decay: the kernel multiplies by a rounded 1 - decay, which is off by 1e-5 after a hundred steps. If the
    kernel is missing or computes something else (``decouple=False``, no momentum, ``slice_p``, a group with a rate of
    0), the library's step is used.
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
        learned = [(group, parameter) for group in self.param_groups for parameter in learned_of(group)]
        if not learned:
            return loss
        weights = [d / group["d0"] * (d if group["safeguard_warmup"] else step_size) for group, _ in learned]
        dots, lengths = read_together([self._sums(parameter, beta3, weight)
                                       for (_, parameter), weight in zip(learned, weights, strict=True)])
        numerator = first["d_numerator"] * beta3 + sum(
            d / group["d0"] * step_size * dot for (group, _), dot in zip(learned, dots, strict=True))
        if sum(lengths) == 0:
            return loss
        found = _found(first, numerator, sum(lengths))
        for group in self.param_groups:
            group.update(found, k=group["k"] + 1)
            self._move(group, (beta1, beta2), step_size, d)
        return loss

    def _is_adam(self) -> bool:
        return steps_as_adam(self.param_groups) and all(group["slice_p"] == 1 for group in self.param_groups)

    def _sums(self, parameter: Parameter, beta3: float, weight: float) -> tuple[Tensor, Tensor]:
        """<g, p0 - p> and, after adding ``weight`` · g to s, |s|."""
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
        way = torch.dot(flat, p0 - values) if p0.ndim else -torch.dot(flat, values)  # one value for all zeros
        s = state["s"].mul_(beta3).add_(flat, alpha=weight)
        return way, s.abs().sum()

    def _move(self, group: dict[str, Any], betas: tuple[float, float], step_size: float, d: float) -> None:
        """Weight decay and Adam's step for the gradients times ``d``."""
        parameters = learned_of(group)
        states = [self.state[parameter] for parameter in parameters]
        for parameter, state in zip(parameters, states, strict=True):
            state["step"] += 1
            if group["weight_decay"]:
                parameter.add_(parameter, alpha=-group["weight_decay"] * step_size)
        if parameters:
            moments = [state["exp_avg"] for state in states], [state["exp_avg_sq"] for state in states]
            adam_step(parameters, moments, betas, step_size, group["d"] * group["eps"], gradient_scale=d)


def _found(group: dict[str, Any], numerator: float, denominator: float) -> dict[str, float]:
    """The new d, and the values it was derived from, under the library's names in ``group``."""
    d_hat = group["d_coef"] * numerator / denominator
    d = max(group["d"], d_hat) if group["d"] == group["d0"] else group["d"]
    d_max = max(group["d_max"], d_hat)
    return {"d_numerator": numerator, "d_denom": denominator, "d": min(d_max, d * group["growth_rate"]),
            "d_max": d_max, "d_hat": d_hat}
