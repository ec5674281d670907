"""One layer of a plain LoRA: the ranks kept of a change, as saved, and the error."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..networks.save import DTYPES
from .curve import LayerCurve
from .svd import Decomposed, clamped


@dataclass(frozen=True)
class Kept:
    """The tensors of a layer by their names in the file, and its curve."""

    tensors: dict[str, Tensor]
    curve: LayerCurve


def keep_ranks(key: str, change: Tensor, parts: Decomposed, rank: int, *, precision: str, kernel: tuple[int, ...],
               quantile: float = 1.0) -> Kept:
    """``rank`` ranks of ``change`` (out, in·k·k), whose decomposition is ``parts``, saved as ``precision``."""
    up, down = clamped(*parts.factors(rank), quantile)
    return keep_factors(key, change, parts, (up, down), precision=precision, kernel=kernel)


def keep_factors(key: str, change: Tensor, parts: Decomposed, factors: tuple[Tensor, Tensor], *, precision: str,
                 kernel: tuple[int, ...]) -> Kept:
    """As ``keep_ranks``, for the ``factors`` (out, rank) and (rank, in·k·k); alpha is the rank."""
    dtype = DTYPES[precision]
    up, down = (factor.to(dtype) for factor in factors)
    rank = len(down)
    lost = float((change - up.float() @ down.float()).double().square().sum())
    if kernel:
        up, down = up.reshape(*up.shape, 1, 1), down.reshape(rank, -1, *kernel)
    name = key.replace("oft_unet_", "lora_unet_")  # sd-scripts' prefix, only for OFT
    # copies: a view of a larger tensor would keep all of it in memory until the file is saved
    tensors = {f"{name}.alpha": torch.tensor(float(rank)), f"{name}.lora_down.weight": _copy(down),
               f"{name}.lora_up.weight": _copy(up)}
    shape = (change.shape[0], change.shape[1])
    return Kept(tensors, LayerCurve(key, parts.values.cpu(), parts.rest, shape, rank, lost))


def _copy(tensor: Tensor) -> Tensor:
    return tensor.to("cpu", copy=True, memory_format=torch.contiguous_format)
