"""The settings that hold one number per block, checked against the blocks of the base model."""

from __future__ import annotations

import dataclasses

from ..blocks.lists import for_blocks, list_problem
from ..blocks.of_file import BlockSet
from .groups.network import NetworkSettings

BLOCK_LISTS = ("block_lr_weight", "block_dims", "block_alphas")


def list_problems(network: NetworkSettings, blocks: BlockSet) -> list[str]:
    """A sentence for each list that does not fit a model with ``blocks``, with the equivalent list for that model."""
    return [f"network.{name} is {getattr(network, name)!r}. {problem}"
            for name in BLOCK_LISTS if (problem := list_problem(getattr(network, name), blocks.full))]


def with_lists_for(network: NetworkSettings, blocks: BlockSet) -> NetworkSettings:
    """``network`` with SD 1.x presets replaced by the equivalent numbers for a model with ``blocks``."""
    return dataclasses.replace(network, block_lr_weight=for_blocks(network.block_lr_weight, blocks),
                               block_dims=for_blocks(network.block_dims, blocks),
                               block_alphas=for_blocks(network.block_alphas, blocks))
