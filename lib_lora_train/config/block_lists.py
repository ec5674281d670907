"""The settings that hold a number for each block, and the model whose blocks these are."""

from __future__ import annotations

import dataclasses

from ..blocks.lists import for_blocks, list_problem
from ..blocks.of_file import BlockSet
from .groups.network import NetworkSettings

BLOCK_LISTS = ("block_lr_weight", "block_dims", "block_alphas")


def list_problems(network: NetworkSettings, blocks: BlockSet) -> list[str]:
    """The lists that are none for a model with ``blocks``, each with the list as it would be for that model."""
    return [f"network.{name} is {getattr(network, name)!r}. {problem}"
            for name in BLOCK_LISTS if (problem := list_problem(getattr(network, name), blocks.full))]


def with_lists_for(network: NetworkSettings, blocks: BlockSet) -> NetworkSettings:
    """``network`` with presets of SD 1.x as the numbers that they are for a model with ``blocks``."""
    return dataclasses.replace(network, block_lr_weight=for_blocks(network.block_lr_weight, blocks),
                               block_dims=for_blocks(network.block_dims, blocks),
                               block_alphas=for_blocks(network.block_alphas, blocks))
