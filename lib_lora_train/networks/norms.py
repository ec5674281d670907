"""The distance of a network from the base model: the Frobenius norm of each layer's change."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor

from ..blocks.names import block_of
from .lora import LoraModule
from .module import NetworkModule
from .network import Network


@dataclass(frozen=True)
class ChangeNorms:
    """Norms over all layers of a part or a block: the root of the sum of their squares.

    ``None`` for a part that is not trained. Layers outside any block count only in the part's norm.
    """

    unet: float | None
    text_encoder: float | None
    blocks: dict[str, float]


@torch.no_grad()
def change_norms(network: Network) -> ChangeNorms:
    """The current norms of the changes of ``network``."""
    keys = [*network.text_encoder_keys, *network.unet_keys]
    squares = dict(zip(keys, torch.stack([_square(network.lora(key)) for key in keys]).tolist(), strict=True))
    by_block: dict[str, float] = defaultdict(float)
    for key, square in squares.items():
        block = block_of(key)
        if block is not None:
            by_block[block] += square
    return ChangeNorms(_norm(squares, network.unet_keys), _norm(squares, network.text_encoder_keys),
                       {block: math.sqrt(square) for block, square in by_block.items()})


def _norm(squares: dict[str, float], keys: tuple[str, ...]) -> float | None:
    return math.sqrt(sum(squares[key] for key in keys)) if keys else None


def _square(module: NetworkModule) -> Tensor:
    """‖ΔW‖²; for a product up·down the trace of (upᵀup)(down downᵀ), without forming ΔW."""
    if isinstance(module, LoraModule) and not module.options.dora:
        down, up = (factor.detach().float().flatten(1) for factor in module.factors)
        return ((up.T @ up) * (down @ down.T)).sum().clamp(min=0) * module.scale ** 2
    return module.weight_change().square().sum()
