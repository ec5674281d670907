"""Formats that store a frozen weight in fewer bits, and restore it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

_FP8 = torch.float8_e4m3fn
_FP8_LARGEST = 448.0
_SMALLEST = 2.0 ** -15
"""Below this a channel counts as zero; its scale still fits into float16."""
_NF4_BLOCK = 64

# Dettmers et al. 2023 (QLoRA, arXiv:2305.14314), appendix E: the quantiles of the normal distribution, asymmetric so
# that zero is among them
_NF4_VALUES = (-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
               -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
               0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
               0.7229568362236023, 1.0)


class Packed(Protocol):
    """A stored weight."""

    @property
    def dtype(self) -> torch.dtype:
        """The dtype it is restored to."""

    @property
    def bytes(self) -> int:
        """Stored size in bytes."""

    def whole(self) -> Tensor:
        """The weight in its own shape and ``dtype``."""

    def changed(self, change: Callable[[Tensor], Tensor]) -> Packed:
        """The same with ``change`` applied to every tensor in it (moved to another device)."""


@dataclass(frozen=True)
class Plain:
    """A weight in its original format, or in a floating-point format other than the compute dtype."""

    tensor: Tensor
    computed: torch.dtype | None = None
    """The compute dtype; ``None`` for the tensor's own."""

    @property
    def dtype(self) -> torch.dtype:
        """The compute dtype."""
        return self.computed or self.tensor.dtype

    @property
    def bytes(self) -> int:
        """The tensor's size."""
        return self.tensor.numel() * self.tensor.element_size()

    def whole(self) -> Tensor:
        """The tensor itself, converted if the compute dtype differs."""
        return self.tensor.to(self.dtype)

    def changed(self, change: Callable[[Tensor], Tensor]) -> Plain:
        """See ``Packed``."""
        return replace(self, tensor=change(self.tensor))


@dataclass(frozen=True)
class Fp8:
    """Eight bits per value (e4m3, Micikevicius et al. 2022, arXiv:2209.05433) and a scale per output channel.

    The scale, a power of two, maps each channel to the upper end of the format's range. With a plain cast, most of a
    diffusion model's weights would be subnormal or close to it, with few bits left.
    """

    values: Tensor
    factors: Tensor
    dtype: torch.dtype

    @classmethod
    def pack(cls, weight: Tensor) -> Fp8:
        """Pack ``weight`` (out, in[, k, k])."""
        rows = weight.float()
        largest = rows.flatten(1).abs().amax(1).clamp(min=_SMALLEST).view(-1, *[1] * (weight.ndim - 1))
        factors = torch.exp2(torch.ceil(torch.log2(largest / _FP8_LARGEST)))
        return cls((rows / factors).to(_FP8), factors.to(weight.dtype), weight.dtype)

    @property
    def bytes(self) -> int:
        """One byte per value, and the scales."""
        return self.values.numel() + self.factors.numel() * self.factors.element_size()

    def whole(self) -> Tensor:
        """values · scales, in ``dtype``; exact, since the scales are powers of two."""
        return self.values.to(self.dtype).mul_(self.factors)

    def changed(self, change: Callable[[Tensor], Tensor]) -> Fp8:
        """See ``Packed``."""
        return replace(self, values=change(self.values), factors=change(self.factors))


@dataclass(frozen=True)
class Nf4:
    """Four bits per value: the nearest of 16 quantiles of the normal distribution, and the maximum of each 64 values.

    Dettmers et al. 2023 (QLoRA, arXiv:2305.14314), section 3, without the second quantization of the maxima.
    """

    pairs: Tensor
    """Two values per byte, (⌈n / 2⌉,)."""
    largest: Tensor
    """The maximum of each block, (⌈n / 64⌉,), float16 if the weight is."""
    table: Tensor
    """The two values that each byte encodes: (256, 2)."""
    shape: torch.Size
    dtype: torch.dtype

    @classmethod
    def pack(cls, weight: Tensor) -> Nf4:
        """Pack ``weight`` of any shape."""
        flat = weight.float().flatten()
        blocks = torch.nn.functional.pad(flat, (0, -len(flat) % _NF4_BLOCK)).view(-1, _NF4_BLOCK)
        largest = blocks.abs().amax(1)
        values = torch.tensor(_NF4_VALUES, device=weight.device)
        borders = (values[1:] + values[:-1]) / 2
        numbers = torch.bucketize(blocks / largest.clamp(min=1e-12)[:, None], borders).to(torch.uint8).view(-1, 2)
        table = torch.stack([values.repeat_interleave(16), values.repeat(16)], 1)
        return cls(numbers[:, 0] * 16 + numbers[:, 1], largest, table.to(weight.dtype), weight.shape, weight.dtype)

    @property
    def bytes(self) -> int:
        """Half a byte per value, plus each block's maximum and the table."""
        return self.pairs.numel() + sum(part.numel() * part.element_size() for part in (self.largest, self.table))

    def whole(self) -> Tensor:
        """The 16 values times the maximum of each block."""
        values = self.table.index_select(0, self.pairs.int()).view(-1, _NF4_BLOCK)
        return (values * self.largest[:, None].to(self.dtype)).flatten()[:self.shape.numel()].view(self.shape)

    def changed(self, change: Callable[[Tensor], Tensor]) -> Nf4:
        """See ``Packed``."""
        return replace(self, pairs=change(self.pairs), largest=change(self.largest), table=change(self.table))


PACKERS: Mapping[str, Callable[[Tensor], Packed]] = {"fp8": Fp8.pack, "nf4": Nf4.pack}
