"""LoRA of one layer (Hu et al. 2021, arXiv:2106.09685): y = W x + b + multiplier · alpha / dim · up(down(x))."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class LoraModule(nn.Module):
    """A low-rank addition to one Linear or Conv2d layer, whose weight is neither changed nor owned.

    ``down`` begins uniform in ±1/sqrt(fan in), as kaiming_uniform with a = sqrt(5) does; ``up`` begins at zero, so
    at first nothing changes. The factors are float32 and are computed with in the dtype of the layer's input, or
    of autocast where that is on.
    """

    alpha: Tensor

    def __init__(self, layer: nn.Linear | nn.Conv2d, dim: int, alpha: float, generator: torch.Generator) -> None:
        super().__init__()
        if isinstance(layer, nn.Conv2d):
            if layer.groups != 1:
                raise ValueError(f"a convolution in {layer.groups} groups has no LoRA")
            self.lora_down: nn.Module = nn.Conv2d(layer.in_channels, dim, layer.kernel_size, layer.stride,  # type: ignore[arg-type]
                                                  layer.padding, bias=False)  # type: ignore[arg-type]
            self.lora_up: nn.Module = nn.Conv2d(dim, layer.out_channels, 1, bias=False)
        else:
            self.lora_down = nn.Linear(layer.in_features, dim, bias=False)
            self.lora_up = nn.Linear(dim, layer.out_features, bias=False)
        self.register_buffer("alpha", torch.tensor(float(alpha)))
        self.dim = dim
        self.scale = float(alpha) / dim
        self.multiplier = 1.0
        self._reset(generator)
        self._layer = (layer,)  # in a tuple, so that it is not taken for a part of the network
        self._forward_before = layer.forward

    def _reset(self, generator: torch.Generator) -> None:
        down, up = self.factors
        bound = 1 / math.sqrt(down[0].numel())
        with torch.no_grad():
            down.uniform_(-bound, bound, generator=generator)
            up.zero_()

    @property
    def layer(self) -> nn.Linear | nn.Conv2d:
        """The layer that is added to."""
        return self._layer[0]

    @property
    def factors(self) -> tuple[nn.Parameter, nn.Parameter]:
        """``down`` (dim, in[, kernel, kernel]) and ``up`` (out, dim[, 1, 1])."""
        return self.lora_down.weight, self.lora_up.weight  # type: ignore[return-value]

    def attach(self) -> None:
        """Let the layer compute with this addition."""
        self.layer.forward = self.forward  # type: ignore[method-assign,assignment]

    def detach(self) -> None:
        """Give the layer its own forward back."""
        self.layer.forward = self._forward_before  # type: ignore[method-assign]

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output for ``x`` with the addition, in the dtype of the layer's own output."""
        output = self._forward_before(x)
        if self.multiplier == 0:
            return output
        down, up = (factor.to(x.dtype) for factor in self.factors)
        if isinstance(self.layer, nn.Conv2d):
            layer = self.layer
            inner = functional.conv2d(x, down, None, layer.stride, layer.padding, layer.dilation)
            addition = functional.conv2d(inner, up.to(inner.dtype))
        else:
            addition = functional.linear(functional.linear(x, down), up)
        return output + (addition * (self.multiplier * self.scale)).to(output.dtype)

    @torch.no_grad()
    def weight_change(self) -> Tensor:
        """What this addition, at multiplier 1, adds to the layer's weight: float32, the weight's shape."""
        down, up = (factor.detach().float() for factor in self.factors)
        return (self.scale * (up.flatten(1) @ down.flatten(1))).view(self.layer.weight.shape)
