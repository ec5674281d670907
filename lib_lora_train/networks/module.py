"""The addition of any network type to one layer of the base model: y = W x + b + multiplier · ΔW x."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..models.stored_weights import full_norms, input_norms

Layer = nn.Linear | nn.Conv2d


@dataclass(frozen=True)
class ModuleOptions:
    """Options of all module types; see the settings of the same names."""

    dropout: float = 0.0
    rank_dropout: float = 0.0
    module_dropout: float = 0.0
    dora: bool = False
    rs_lora: bool = False
    lokr_factor: int = -1
    decompose_both: bool = False
    dylora_unit: int = 4


class NetworkModule(nn.Module):
    """An addition to one Linear or Conv2d layer, whose weight is neither changed nor owned.

    Subclasses define ΔW with ``low_rank_change``. Parameters are float32; the computation uses the dtype of the
    layer's input, or of autocast if enabled. With ``dora_scale`` (DoRA, Liu et al. 2024, arXiv:2402.09353, with the
    norm over each input, as the webui applies it) the layer's weight becomes (W + ΔW) · dora_scale / ‖W + ΔW‖. For a
    base weight stored in fp8 or nf4, ‖W + ΔW‖ is corrected by ‖full W‖ / ‖W‖, so that ``dora_scale`` refers to the
    full weights, to which the file is applied.
    """

    norm_correction: Tensor

    def __init__(self, layer: Layer, options: ModuleOptions) -> None:
        super().__init__()
        if isinstance(layer, nn.Conv2d) and layer.groups != 1:
            raise ValueError(f"a convolution in {layer.groups} groups has no LoRA")
        self.options = options
        self.multiplier = 1.0
        self._layer = (layer,)  # in a tuple, so that it is not registered as a submodule
        self._forward_before = layer.forward
        self.weight_shape = layer.weight.shape
        if options.dora:
            norms = full_norms(layer)
            self.dora_scale = nn.Parameter(norms.clone())
            kept = input_norms(layer.weight.detach())
            both = (norms > 0) & (kept > 0)
            self.register_buffer("norm_correction", torch.where(both, norms, 1.0) / torch.where(both, kept, 1.0),
                                 persistent=False)

    @property
    def layer(self) -> Layer:
        """The base layer."""
        return self._layer[0]

    @property
    def is_trained(self) -> bool:
        """Whether any parameter is trained; parts of a network from a file may be frozen."""
        return any(parameter.requires_grad for parameter in self.parameters())

    @property
    def factors(self) -> Sequence[nn.Parameter]:
        """The factors of ΔW: scaling each by c scales ΔW by c to the power of their number."""
        raise NotImplementedError

    @property
    def degree(self) -> int:
        """The number of factors that each value of ΔW is a product of."""
        return len(self.factors)

    @property
    def has_alpha(self) -> bool:
        """Whether an alpha scales ΔW."""
        return False

    @property
    def up_parameters(self) -> Sequence[nn.Parameter]:
        """The matrices initialized to zero, which LoRA+ trains at a higher rate; empty where that is undefined."""
        return ()

    def low_rank_change(self) -> Tensor:
        """ΔW with its scale, before DoRA: float32, the shape of the layer's weight."""
        raise NotImplementedError

    def attach(self) -> None:
        """Make the layer compute with this addition."""
        self.layer.forward = self.forward  # type: ignore[method-assign,assignment]

    def detach(self) -> None:
        """Restore the layer's own forward."""
        self.layer.forward = self._forward_before  # type: ignore[method-assign]

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output for ``x`` with the addition, in the dtype of the layer's own output."""
        output = self._forward_before(x)
        if self.multiplier == 0 or self._is_left_out():
            return output
        return output + self.addition(x, self.multiplier).to(output.dtype)

    def addition(self, x: Tensor, strength: float) -> Tensor:
        """``strength`` · ΔW x, computed with the whole ΔW."""
        with torch.autocast(x.device.type, enabled=False):
            change = self._with_dora(self._with_rows_dropped(self.low_rank_change()))
        return apply_weight(self.layer, x, change.to(x.dtype)) * strength

    @torch.no_grad()
    def weight_change(self) -> Tensor:
        """The change of the layer's weight at multiplier 1: float32, the weight's shape."""
        return self._with_dora(self.low_rank_change())

    @torch.no_grad()
    def limit_norm(self, limit: float) -> None:
        """Scale the factors down so that the Frobenius norm of ΔW, before DoRA, is at most ``limit``."""
        ratio = (limit / self.low_rank_change().norm()).clamp(max=1)
        for factor in self.factors:
            factor.mul_(ratio ** (1 / len(self.factors)))

    def _is_left_out(self) -> bool:
        chance = self.options.module_dropout
        return self.training and chance > 0 and float(torch.rand(())) < chance

    def _with_rows_dropped(self, change: Tensor) -> Tensor:
        chance = self.options.rank_dropout
        if not self.training or not chance:
            return change
        kept = torch.rand(len(change), device=change.device) >= chance
        return change * kept.view(-1, *[1] * (change.ndim - 1)) / (1 - chance)

    def _with_dora(self, change: Tensor) -> Tensor:
        if not self.options.dora:
            return change
        weight = self.layer.weight.detach().float()
        ratio = self.dora_scale / (input_norms(weight + change) * self.norm_correction)
        return weight * (ratio - 1) + change * ratio  # exactly zero while nothing is learned


class ScaledModule(NetworkModule):
    """A module of rank ``dim`` whose ΔW is scaled by alpha / dim, or alpha / sqrt(dim) for rs-LoRA.

    Kalajdzievski 2023, arXiv:2312.03732. The alpha saved in the file is always relative to dim.
    """

    alpha: Tensor

    def __init__(self, layer: Layer, dim: int, alpha: float, options: ModuleOptions) -> None:
        super().__init__(layer, options)
        self.dim = dim
        self.scale = 1.0  # a plain number, since reading the buffer on a GPU would synchronize
        self.register_buffer("alpha", torch.tensor(float(alpha) * (dim ** 0.5 if options.rs_lora else 1)))
        self.take_alpha()
        self.register_load_state_dict_post_hook(_after_loading)

    @property
    def has_alpha(self) -> bool:
        """Whether an alpha scales ΔW."""
        return True

    def take_alpha(self) -> None:
        """Apply the current alpha."""
        self.scale = float(self.alpha) / self.dim

    @torch.no_grad()
    def scale_alpha(self, factor: float, *, keep_change: bool = False) -> None:
        """Multiply the effect of an optimizer step on ΔW by ``factor``, through alpha.

        Optimizers that normalize by the size of the gradient (Adam and its variants) take steps of the same size
        however ΔW is scaled. While ΔW is 0, or may change, alpha times ``factor`` is enough. To ``keep_change``, all
        ``n`` factors are divided by ``factor`` and alpha is multiplied by its ``n``-th power, which leaves the
        derivative by each factor multiplied by ``factor``.
        """
        if keep_change:
            for parameter in self.factors:
                parameter.div_(factor)
        self.alpha.mul_(factor ** (self.degree if keep_change else 1))
        self.take_alpha()


def apply_weight(layer: Layer, x: Tensor, weight: Tensor) -> Tensor:
    """Apply a layer like ``layer``, but with ``weight`` and no bias, to ``x``."""
    if isinstance(layer, nn.Conv2d):
        return functional.conv2d(x, weight, None, layer.stride, layer.padding, layer.dilation)
    return functional.linear(x, weight)


def _after_loading(module: nn.Module, incompatible: object) -> None:
    assert isinstance(module, ScaledModule)
    module.take_alpha()
