"""LoHa, LoKr and (IA)^3 (Yeh et al. 2023, arXiv:2309.14859): tensors and ΔW from lycoris-lora, the rest is shared.

Its own forward is not used: it adds ΔW to the weight in the dtype of the base model, where half precision rounds most
of a small ΔW away, and it has no dropout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from lycoris.modules.base import LycorisBaseModule
from lycoris.modules.ia3 import IA3Module
from lycoris.modules.loha import LohaModule as LycorisLoha
from lycoris.modules.lokr import LokrModule as LycorisLokr
from torch import Tensor, nn

from .module import Layer, ModuleOptions, NetworkModule, ScaledModule


class LohaModule(ScaledModule):
    """ΔW = scale · (w1_a·w1_b) ∘ (w2_a·w2_b), Hyeon-Woo et al. 2022 (arXiv:2108.06098)."""

    def __init__(self, layer: Layer, dim: int, alpha: float, generator: torch.Generator,
                 options: ModuleOptions) -> None:
        super().__init__(layer, dim, alpha, options)
        with _seeded(generator):
            inner = LycorisLoha("", layer, lora_dim=dim, alpha=dim)
        self._inner = (inner,)
        _take_parameters(self, inner)

    @property
    def factors(self) -> Sequence[nn.Parameter]:
        """The four matrices."""
        return _shared(self._inner[0])

    def low_rank_change(self) -> Tensor:
        """ΔW with its scale: float32, the shape of the layer's weight."""
        return self.scale * self._inner[0].get_weight(self.weight_shape)


class LokrModule(ScaledModule):
    """ΔW = scale · w1 ⊗ w2, each factor whole or a product of two matrices of rank ``dim``.

    If both are whole there is no rank, and the scale is 1 whatever alpha is, as in the webui.
    """

    def __init__(self, layer: Layer, dim: int, alpha: float, generator: torch.Generator,
                 options: ModuleOptions) -> None:
        with _seeded(generator):
            inner = LycorisLokr("", layer, lora_dim=dim, alpha=dim, factor=options.lokr_factor,
                                decompose_both=options.decompose_both)
        self._whole = inner.use_w1 and inner.use_w2
        super().__init__(layer, dim, alpha, options)
        self._inner = (inner,)
        _take_parameters(self, inner)

    @property
    def factors(self) -> Sequence[nn.Parameter]:
        """The two to four matrices."""
        return _shared(self._inner[0])

    @property
    def has_alpha(self) -> bool:
        """Whether an alpha scales ΔW: not if both factors are whole."""
        return not self._whole

    def take_alpha(self) -> None:
        """Apply the current alpha; the scale is 1 if nothing has a rank."""
        if self._whole:
            self.scale = 1.0
            self.alpha.fill_(self.dim)
        else:
            super().take_alpha()

    def low_rank_change(self) -> Tensor:
        """ΔW with its scale: float32, the shape of the layer's weight."""
        return self.scale * self._inner[0].get_weight(self.weight_shape)


class Ia3Module(NetworkModule):
    """A factor 1 + ``weight`` on each output, or each input, of a Linear layer; it has neither rank nor alpha."""

    def __init__(self, layer: Layer, on_input: bool, options: ModuleOptions) -> None:
        super().__init__(layer, options)
        if not isinstance(layer, nn.Linear):
            raise ValueError("(IA)^3 is for Linear layers: the webui cannot apply it to convolutions")
        inner = IA3Module("", layer, train_on_input=on_input)
        self._inner = (inner,)
        _take_parameters(self, inner)
        self.register_buffer("on_input", torch.tensor(int(on_input)))

    @property
    def factors(self) -> Sequence[nn.Parameter]:
        """The one vector."""
        return _shared(self._inner[0])

    def low_rank_change(self) -> Tensor:
        """W with each row, or each column, scaled by its value: float32."""
        return self._inner[0].make_weight(diff=True).float()


@contextmanager
def _seeded(generator: torch.Generator) -> Iterator[None]:
    """Seed the global random state, which lycoris-lora initializes from, by ``generator`` within the context."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(generator.initial_seed())
        yield


def _take_parameters(module: nn.Module, inner: LycorisBaseModule) -> None:
    """Register the parameters of ``inner`` in ``module``: the same objects, so that both see updates."""
    for name, parameter in inner.named_parameters(recurse=False):
        module.register_parameter(name, parameter)


def _shared(inner: LycorisBaseModule) -> list[nn.Parameter]:
    return list(inner.parameters(recurse=False))
