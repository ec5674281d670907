"""Frozen weights stored in fp8, nf4 or main memory, and restored when their layer computes.

Such a layer saves nothing of its weight for the backward pass: the weight is restored again there, so that only a few
layers have full weights at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_input

from .lent import Home
from .prefetch import Prefetcher
from .quantized import PACKERS, Packed, Plain

__all__ = [
    "StoredConv2d",
    "StoredLinear",
    "compute_in",
    "computing_in",
    "full_norms",
    "input_norms",
    "keep_on_cpu",
    "names_in_blocks",
    "store_weights",
    "stored_layers",
]


FULL = "full"


class StoredWeight:
    """The packed weight of one layer, on the compute device or, with a ``prefetcher``, in main memory."""

    def __init__(self, packed: Packed) -> None:
        self.packed = packed
        self.full_norms: Tensor | None = None
        """``input_norms`` of the weight before quantization; ``None`` if it is not quantized."""
        self.prefetcher: Prefetcher | None = None
        self.home: Home | None = None
        """The weight's home if the webui shares it; the packed copy on the compute device is made from it."""
        self._how = FULL

    @property
    def away(self) -> bool:
        """Whether the weight stays in main memory and is copied for each use."""
        return self.prefetcher is not None

    def whole(self) -> Tensor:
        """The weight as its layer uses it: a new tensor, unless it is stored unchanged on the compute device."""
        packed = self.packed if self.prefetcher is None else self.prefetcher.fetch(self.packed)
        return packed.whole()

    def pack(self, how: str) -> None:
        """Store it as ``how`` from now on; a weight at home is packed when it is brought to the device."""
        if how == FULL or not isinstance(self.packed, Plain):
            return
        whole = self.packed.whole()
        self.full_norms, self._how = input_norms(whole), how
        if not self._is_at_home:
            self.packed = PACKERS[how](whole)

    def bring(self, device: torch.device) -> None:
        """Pack a copy of the home weight on ``device``. A weight that is already packed stays unchanged."""
        if self._is_at_home and self.home is not None:
            weight = self.home.copy_on(device)
            self.packed = Plain(weight) if self._how == FULL else PACKERS[self._how](weight)

    def put_away(self) -> None:
        """Drop the copy of a weight with a home, unless it is kept in main memory anyway."""
        if self.home is not None and not self.away:
            self.packed = Plain(self.home.tensor, self.home.dtype)

    @property
    def _is_at_home(self) -> bool:
        return self.home is not None and isinstance(self.packed, Plain) and self.home.holds(self.packed.tensor)

    def move(self, change: Callable[[Tensor], Tensor]) -> None:
        """Apply ``change`` (to another device) to the stored tensors; an offloaded weight stays in main memory."""
        if not self.away:
            self.packed = self.packed.changed(change)


class _StoredLayer:
    """Base of both layers with a stored weight; ``store_weights`` sets ``stored``."""

    stored: StoredWeight

    @property
    def weight(self) -> Tensor:
        """The whole weight, without gradient."""
        return self.stored.whole()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        self.stored.move(fn)
        return super()._apply(fn, recurse)  # type: ignore[misc]

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)  # type: ignore[misc]
        if isinstance(self.stored.packed, Plain):
            destination[f"{prefix}weight"] = self.stored.packed.tensor


class StoredLinear(_StoredLayer, nn.Linear):  # type: ignore[misc,override]
    """A Linear layer that computes with a stored weight, in the weight's dtype."""

    def forward(self, x: Tensor) -> Tensor:
        """x Wᵀ + b."""
        x, bias = _as_computed(self, x)
        return _LinearWithStored.apply(x, self.stored, bias)  # type: ignore[no-any-return]


class StoredConv2d(_StoredLayer, nn.Conv2d):  # type: ignore[misc,override]
    """A convolution that computes with a stored weight, in the weight's dtype."""

    def forward(self, x: Tensor) -> Tensor:
        """x * W + b."""
        x, bias = _as_computed(self, x)
        return _ConvWithStored.apply(  # type: ignore[no-any-return]
            x, self.stored, bias, self.stride, self.padding, self.dilation, self.groups)


def store_weights(network: nn.Module, how: str) -> None:
    """Store the weights of the Linear layers and convolutions inside ``network``'s blocks as ``how``.

    ``how`` is ``full`` (unchanged), ``fp8`` or ``nf4``; layers stored as ``full`` can be packed later, but not the
    reverse. Layers outside blocks (first and last convolution, time embedding) and the norms are small and stay
    unchanged. Call it before a LoRA network is created on ``network``.
    """
    for layer in _layers_in_blocks(network):
        if not isinstance(layer, _StoredLayer):
            weight = layer._parameters.pop("weight")
            assert weight is not None
            layer.__class__ = StoredLinear if isinstance(layer, nn.Linear) else StoredConv2d
            layer.__dict__["stored"] = StoredWeight(Plain(weight.detach()))
        _stored(layer).pack(how)


def compute_in(network: nn.Module, dtype: torch.dtype) -> None:
    """Make every layer of ``network`` compute in ``dtype``, however its weight is stored; call it before packing.

    Weights inside blocks are unchanged and converted at each use, so that nothing is in memory twice. The others are
    small, and are converted permanently.
    """
    store_weights(network, FULL)
    for layer in stored_layers(network):
        stored = _stored(layer)
        if isinstance(stored.packed, Plain):
            stored.packed = replace(stored.packed, computed=dtype)
    for parameter in network.parameters():
        parameter.data = parameter.data.to(dtype)


@contextmanager
def computing_in(network: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """Make ``network`` compute in ``dtype``, as ``compute_in`` does, within the context."""
    store_weights(network, FULL)
    packed = [(stored, stored.packed) for stored in map(_stored, stored_layers(network))]
    rest = [(parameter, parameter.data) for parameter in network.parameters()]
    try:
        compute_in(network, dtype)
        yield
    finally:
        for stored, before in packed:
            stored.packed = before
        for parameter, data in rest:
            parameter.data = data


def names_in_blocks(network: nn.Module) -> set[str]:
    """The names of the weights of ``network`` that ``store_weights`` stores."""
    return {f"{name}.weight" for name, module in network.named_modules() if _is_in_block(name, module)}


def input_norms(weight: Tensor) -> Tensor:
    """The norm over each input channel of ``weight`` (out, in[, k, k]): (1, in[, 1, 1]), float32."""
    return weight.float().transpose(0, 1).flatten(1).norm(dim=1).view(1, -1, *[1] * (weight.ndim - 2))


def full_norms(layer: nn.Module) -> Tensor:
    """``input_norms`` of the full weight of ``layer``, also if it is quantized."""
    norms = layer.stored.full_norms if isinstance(layer, _StoredLayer) else None
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return input_norms(weight.detach()) if norms is None else norms.to(weight.device)


def keep_on_cpu(network: nn.Module, share: float, device: torch.device) -> Prefetcher:
    """Keep about ``share`` (0 to 1) of the bytes of the stored weights in main memory.

    Offloaded layers are spread evenly, so that each is copied while the layers before it compute.
    """
    prefetcher = Prefetcher(device)
    owed = 0.0
    for layer in stored_layers(network):
        stored = _stored(layer)
        owed += share * stored.packed.bytes
        if owed >= stored.packed.bytes:
            owed -= stored.packed.bytes
            stored.bring(torch.device("cpu"))
            stored.prefetcher = prefetcher
            stored.packed = stored.packed.changed(_into_main_memory(device))
    return prefetcher


def stored_layers(network: nn.Module) -> Iterator[nn.Module]:
    """The layers of ``network`` with stored weights, in the order of definition."""
    return (module for module in network.modules() if isinstance(module, _StoredLayer))  # type: ignore[misc]


class _LinearWithStored(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, stored: StoredWeight, bias: Tensor | None) -> Tensor:
        ctx.stored = stored
        return functional.linear(x, stored.whole(), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0] @ ctx.stored.whole(), None, None


class _ConvWithStored(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, stored: StoredWeight, bias: Tensor | None, stride: tuple[int, ...],
                padding: tuple[int, ...], dilation: tuple[int, ...], groups: int) -> Tensor:
        ctx.stored, ctx.size, ctx.rest = stored, x.shape, (stride, padding, dilation, groups)
        return functional.conv2d(x, stored.whole(), bias, stride, padding, dilation, groups)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        change = conv2d_input(ctx.size, ctx.stored.whole(), gradients[0], *ctx.rest)
        return change, None, None, None, None, None, None


def _as_computed(layer: StoredLinear | StoredConv2d, x: Tensor) -> tuple[Tensor, Tensor | None]:
    dtype = layer.stored.packed.dtype
    return x.to(dtype), None if layer.bias is None else layer.bias.to(dtype)


def _layers_in_blocks(network: nn.Module) -> Iterator[nn.Linear | nn.Conv2d]:
    """Linear layers and convolutions inside a list of blocks."""
    for name, module in network.named_modules():
        if _is_in_block(name, module) and isinstance(module, (nn.Linear, nn.Conv2d)):
            yield module


def _is_in_block(name: str, module: nn.Module) -> bool:
    in_block = any(part.isdigit() or part == "mid_block" for part in name.split("."))
    return in_block and isinstance(module, (nn.Linear, nn.Conv2d))


def _stored(layer: nn.Module) -> StoredWeight:
    assert isinstance(layer, _StoredLayer)
    return layer.stored


def _into_main_memory(device: torch.device) -> Callable[[Tensor], Tensor]:
    def change(tensor: Tensor) -> Tensor:
        tensor = tensor.to("cpu")
        return tensor.pin_memory() if device.type == "cuda" else tensor  # pinned: copied while the GPU computes

    return change
