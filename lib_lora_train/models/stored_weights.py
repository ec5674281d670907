"""Frozen weights stored in fp8, nf4 or main memory, and restored when their layer computes.

Such a layer keeps nothing of its weight for the backward pass: the weight is restored again there, so that only a few
layers' weights are whole at a time.
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
    """One layer's weight: packed, and on the device that computes or, with a ``prefetcher``, in main memory."""

    def __init__(self, packed: Packed) -> None:
        self.packed = packed
        self.full_norms: Tensor | None = None
        """``input_norms`` of the weight before it was packed in fewer bits; ``None`` if it is as it was."""
        self.prefetcher: Prefetcher | None = None
        self.home: Home | None = None
        """Where the webui shares the weight; what is packed then is made from that, on the device that computes."""
        self._how = FULL

    @property
    def away(self) -> bool:
        """Whether the weight stays in main memory and is copied for each use."""
        return self.prefetcher is not None

    def whole(self) -> Tensor:
        """The weight as its layer computes with it: a new tensor, unless it is stored plainly where it is used."""
        packed = self.packed if self.prefetcher is None else self.prefetcher.fetch(self.packed)
        return packed.whole()

    def pack(self, how: str) -> None:
        """Keep it as ``how`` says from now on; one that is at home, when it is brought to the device."""
        if how == FULL or not isinstance(self.packed, Plain):
            return
        whole = self.packed.whole()
        self.full_norms, self._how = input_norms(whole), how
        if not self._is_at_home:
            self.packed = PACKERS[how](whole)

    def bring(self, device: torch.device) -> None:
        """Pack a copy of what is at home, on ``device``. What is packed already stays as it is."""
        if self._is_at_home and self.home is not None:
            weight = self.home.copy_on(device)
            self.packed = Plain(weight) if self._how == FULL else PACKERS[self._how](weight)

    def put_away(self) -> None:
        """Drop the copy of what has a home, unless it is kept in main memory anyway."""
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
    """Common to both kinds of layer with a stored weight; ``store_weights`` sets ``stored``."""

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
    """A Linear layer that computes with a stored weight, in that weight's dtype."""

    def forward(self, x: Tensor) -> Tensor:
        """x Wᵀ + b."""
        x, bias = _as_computed(self, x)
        return _LinearWithStored.apply(x, self.stored, bias)  # type: ignore[no-any-return]


class StoredConv2d(_StoredLayer, nn.Conv2d):  # type: ignore[misc,override]
    """A convolution that computes with a stored weight, in that weight's dtype."""

    def forward(self, x: Tensor) -> Tensor:
        """x * W + b."""
        x, bias = _as_computed(self, x)
        return _ConvWithStored.apply(  # type: ignore[no-any-return]
            x, self.stored, bias, self.stride, self.padding, self.dilation, self.groups)


def store_weights(network: nn.Module, how: str) -> None:
    """Keep the weights of the Linear layers and convolutions inside ``network``'s blocks as ``how`` says.

    ``how`` is ``full`` (as they are), ``fp8`` or ``nf4``; layers stored before as ``full`` can be packed later, not the
    other way round. Layers outside of blocks (the first and last convolution, what reads the timestep) and the norms
    are small, and stay. Do this before a LoRA network is made on ``network``.
    """
    for layer in _layers_in_blocks(network):
        if not isinstance(layer, _StoredLayer):
            weight = layer._parameters.pop("weight")
            assert weight is not None
            layer.__class__ = StoredLinear if isinstance(layer, nn.Linear) else StoredConv2d
            layer.__dict__["stored"] = StoredWeight(Plain(weight.detach()))
        _stored(layer).pack(how)


def compute_in(network: nn.Module, dtype: torch.dtype) -> None:
    """Let every layer of ``network`` compute in ``dtype``, however its weight is kept; do this before it is packed.

    Weights of the layers inside blocks stay as they are and are converted at each use, so that nothing is in memory
    twice. The others are small, and are converted for good.
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
    """Inside, ``network`` computes in ``dtype``, as ``compute_in`` has it; afterwards all is as it was before."""
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
    """The norm of what belongs to each input channel of ``weight`` (out, in[, k, k]): (1, in[, 1, 1]), float32."""
    return weight.float().transpose(0, 1).flatten(1).norm(dim=1).view(1, -1, *[1] * (weight.ndim - 2))


def full_norms(layer: nn.Module) -> Tensor:
    """``input_norms`` of the full weight of ``layer``, in however few bits it is stored."""
    norms = layer.stored.full_norms if isinstance(layer, _StoredLayer) else None
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return input_norms(weight.detach()) if norms is None else norms.to(weight.device)


def keep_on_cpu(network: nn.Module, share: float, device: torch.device) -> Prefetcher:
    """Leave about ``share`` (0 to 1) of the bytes of the stored weights in main memory.

    Layers that stay away are spread evenly, so that the next is brought while those between them compute.
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
    """The layers of ``network`` whose weights are stored, in the order in which they are defined."""
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
    """Linear layers and convolutions inside some list of blocks."""
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
