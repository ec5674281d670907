"""LoRA (Hu et al. 2021, arXiv:2106.09685) on Linear and convolution layers (LoCon), and DyLoRA on top of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .module import Layer, ModuleOptions, ScaledModule


class _Linear(nn.Linear):
    """A linear layer without torch's own initialization, which would use the global random state."""

    def reset_parameters(self) -> None:
        """The weights are set by who makes the layer."""


class _Conv2d(nn.Conv2d):
    """A convolution without torch's own initialization."""

    def reset_parameters(self) -> None:
        """The weights are set by who makes the layer."""


class LoraModule(ScaledModule):
    """A low-rank addition to one Linear or Conv2d layer.

    ``down`` is initialized uniformly in ±1/sqrt(fan in), like kaiming_uniform with a = sqrt(5); ``up`` starts at zero,
    so that the initial change is zero.
    """

    def __init__(self, layer: Layer, dim: int, alpha: float, generator: torch.Generator,
                 options: ModuleOptions | None = None) -> None:
        super().__init__(layer, dim, alpha, options or ModuleOptions())
        if isinstance(layer, nn.Conv2d):
            kernel: Any = layer.kernel_size
            self.lora_down: Layer = _Conv2d(layer.in_channels, dim, kernel, bias=False)
            self.lora_up: Layer = _Conv2d(dim, layer.out_channels, 1, bias=False)
        else:
            self.lora_down = _Linear(layer.in_features, dim, bias=False)
            self.lora_up = _Linear(dim, layer.out_features, bias=False)
        down, up = self.factors
        bound = 1 / math.sqrt(down[0].numel())
        with torch.no_grad():
            down.uniform_(-bound, bound, generator=generator)
            up.zero_()

    @property
    def factors(self) -> tuple[nn.Parameter, nn.Parameter]:
        """``down`` (dim, in[, kernel, kernel]) and ``up`` (out, dim[, 1, 1])."""
        return self.lora_down.weight, self.lora_up.weight  # type: ignore[return-value]

    @property
    def up_parameters(self) -> tuple[nn.Parameter, ...]:
        """``up``."""
        return (self.factors[1],)

    def low_rank_change(self) -> Tensor:
        """scale · up·down: float32, the shape of the layer's weight."""
        down, up = (factor.float() for factor in self.factors)
        return (self.scale * (up.flatten(1) @ down.flatten(1))).view(self.weight_shape)

    def addition(self, x: Tensor, strength: float) -> Tensor:
        """``strength`` · scale · up(down(x)), without forming the whole ΔW unless DoRA needs it."""
        if self.options.dora:
            return super().addition(x, strength)
        down, up = (factor.to(x.dtype) for factor in self.factors)
        return low_rank(self.layer, x, down, up, self.options, self.training) * (strength * self.scale)


def low_rank(layer: Layer, x: Tensor, down: Tensor, up: Tensor, options: ModuleOptions, training: bool) -> Tensor:
    """up(down(x)). In training, dropout zeroes single values between the two, rank_dropout whole ranks per image.

    The rest is scaled up to preserve the mean.
    """
    if isinstance(layer, nn.Conv2d):
        inner = functional.conv2d(x, down, None, layer.stride, layer.padding, layer.dilation)
    else:
        inner = functional.linear(x, down)
    if training and options.dropout:
        inner = functional.dropout(inner, options.dropout)
    if training and options.rank_dropout:
        kept = torch.rand(len(inner), len(down), device=inner.device) >= options.rank_dropout
        rest = [1] * (inner.ndim - 2)
        shape = (len(inner), -1, *rest) if isinstance(layer, nn.Conv2d) else (len(inner), *rest, -1)
        inner = inner * kept.view(shape) / (1 - options.rank_dropout)
    return functional.conv2d(inner, up) if isinstance(layer, nn.Conv2d) else functional.linear(inner, up)


class DyLoraModule(ScaledModule):
    """DyLoRA (Valipour et al. 2023, arXiv:2210.07558): a LoRA that works at every rank it can be truncated to.

    Each training step samples a rank, a multiple of ``unit``; higher ranks are not used and only the last unit of the
    others is trained. Outside training all ranks are used. The scale is alpha / dim at every rank, as when the webui
    truncates a LoRA with ``<lora:name:1:1:dyn=…>``. The file has the format of a plain LoRA.
    """

    def __init__(self, layer: Layer, dim: int, alpha: float, generator: torch.Generator,
                 options: ModuleOptions) -> None:
        super().__init__(layer, dim, alpha, options)
        self.unit = options.dylora_unit
        bound = 1 / math.sqrt(layer.weight[0].numel())
        for number in range(dim // self.unit):
            down = torch.empty(self.unit, layer.weight[0].numel()).uniform_(-bound, bound, generator=generator)
            self.register_parameter(f"down_{number}", nn.Parameter(down))
            self.register_parameter(f"up_{number}", nn.Parameter(torch.zeros(len(layer.weight), self.unit)))

    @property
    def downs(self) -> tuple[nn.Parameter, ...]:
        """``down`` in units: each (unit, in features)."""
        return tuple(self.get_parameter(f"down_{number}") for number in range(self.dim // self.unit))

    @property
    def ups(self) -> tuple[nn.Parameter, ...]:
        """``up`` in units: each (out, unit)."""
        return tuple(self.get_parameter(f"up_{number}") for number in range(self.dim // self.unit))

    @property
    def factors(self) -> Sequence[nn.Parameter]:
        """Every unit of ``down`` and ``up``."""
        return [*self.downs, *self.ups]

    @property
    def degree(self) -> int:
        """Two: ``up`` and ``down``, regardless of the number of units."""
        return 2

    @property
    def up_parameters(self) -> Sequence[nn.Parameter]:
        """Every unit of ``up``."""
        return self.ups

    def low_rank_change(self) -> Tensor:
        """scale · up·down with all ranks."""
        change = torch.cat(self.ups, 1) @ torch.cat(self.downs)
        return (self.scale * change).view(self.weight_shape)

    def addition(self, x: Tensor, strength: float) -> Tensor:
        """``strength`` · scale · up(down(x)) up to a sampled rank, or to the last one outside training."""
        downs, ups = list[Tensor](self.downs), list[Tensor](self.ups)
        if self.training:
            last = int(torch.randint(len(downs), ()))
            downs = [*(unit.detach() for unit in downs[:last]), downs[last]]
            ups = [*(unit.detach() for unit in ups[:last]), ups[last]]
        down, up = torch.cat(downs).to(x.dtype), torch.cat(ups, 1).to(x.dtype)
        if isinstance(self.layer, nn.Conv2d):
            down, up = down.view(-1, *self.weight_shape[1:]), up[:, :, None, None]
        return low_rank(self.layer, x, down, up, self.options, self.training) * (strength * self.scale)

    @torch.no_grad()
    def limit_norm(self, limit: float) -> None:
        """Scale ``down`` and ``up`` so that the Frobenius norm of ΔW with all ranks is at most ``limit``."""
        ratio = (limit / self.low_rank_change().norm()).clamp(max=1)
        for factor in self.factors:
            factor.mul_(ratio ** 0.5)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        convolution = isinstance(self.layer, nn.Conv2d)
        down, up = torch.cat(self.downs), torch.cat(self.ups, 1)
        tensors = {"alpha": self.alpha,
                   "lora_down.weight": down.view(-1, *self.weight_shape[1:]),
                   "lora_up.weight": up[:, :, None, None] if convolution else up}
        for name, tensor in tensors.items():
            destination[prefix + name] = tensor if keep_vars else tensor.detach()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        state = dict(state_dict)
        down, up = (state.pop(f"{prefix}lora_{name}.weight", None) for name in ("down", "up"))
        if down is not None and up is not None:
            for number, (rows, columns) in enumerate(zip(down.flatten(1).split(self.unit),
                                                         up.flatten(1).split(self.unit, dim=1), strict=True)):
                state[f"{prefix}down_{number}"], state[f"{prefix}up_{number}"] = rows, columns
        super()._load_from_state_dict(state, prefix, *rest)
