"""Bakes a network into the weights it was trained on."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..networks.keys import UNET_PREFIX, key_table
from ..networks.module import NetworkModule
from ..networks.network import Network


def merged_weight(weight: Tensor, module: NetworkModule, multiplier: float = 1.0) -> Tensor:
    """``weight`` + multiplier · its change, computed in float32 and returned in the dtype of ``weight``."""
    change = module.weight_change().to(weight.device).view(weight.shape)
    return (weight.float() + multiplier * change).to(weight.dtype)


def merge_into(network: Network, state: Mapping[str, Tensor], prefix: str,
               multiplier: float = 1.0) -> dict[str, Tensor]:
    """A copy of ``state`` (a UNet's or text encoder's state dict) with the network's changes baked in.

    ``prefix`` is ``lora_unet``, ``lora_te``, ``lora_te1`` or ``lora_te2``; unchanged tensors are shared, not copied.
    Raises ``KeyError`` if a module of that part has no weight in ``state``.
    """
    paths = key_table(prefix, (key.removesuffix(".weight") for key in state if key.endswith(".weight")))
    merged = dict(state)
    for key, module in modules_of(network, prefix).items():
        name = paths[key] + ".weight"
        merged[name] = merged_weight(state[name], module, multiplier)
    return merged


@torch.no_grad()
def merge_into_module(network: Network, module: nn.Module, prefix: str, multiplier: float = 1.0) -> None:
    """Bake the network's changes into the weights of a UNet or text encoder in place.

    The weights are replaced, not written to, so a memory-mapped checkpoint file stays unchanged.
    """
    state = {key: tensor for key, tensor in module.state_dict().items() if key.endswith(".weight")}
    module.load_state_dict(merge_into(network, state, prefix, multiplier), strict=False, assign=True)
    module.requires_grad_(False)


def modules_of(network: Network, prefix: str) -> dict[str, NetworkModule]:
    """The modules of the part whose keys begin with ``prefix``."""
    modules = network.unet_modules if prefix == UNET_PREFIX else network.text_encoder_modules
    return {key: module for key, module in modules.items() if key.startswith(prefix + "_")}
