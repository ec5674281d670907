"""Base weights that stay in main memory, shared by the webui, and are only copied to a GPU.

They are frozen, so leaving the GPU copies nothing: each parameter is pointed back at its home.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from weakref import WeakKeyDictionary

import torch
from torch import nn

from .lent import Home
from .stored_weights import StoredWeight, stored_layers


class Homes:
    """The homes of the parameters of some networks; empty if the weights belong to this process."""

    def __init__(self) -> None:
        self._homes: WeakKeyDictionary[nn.Module, dict[str, Home]] = WeakKeyDictionary()

    def note(self, networks: Iterable[nn.Module], dtype: torch.dtype) -> None:
        """Record the current location of each parameter of ``networks`` as its home; ``dtype`` is that of the copies.

        The few that are not lent, such as those with a changed layout, have theirs in this process's own memory.
        """
        for network in networks:
            for module in network.modules():
                homes = {name: Home(parameter.data, dtype) for name, parameter in
                         module.named_parameters(recurse=False)}
                if homes:
                    self._homes[module] = homes

    def hand_over(self, network: nn.Module) -> None:
        """Pass the homes on to the weights that ``store_weights`` has stored; call it before they are packed."""
        for layer, stored in _stored(network):
            stored.home = stored.home or self._homes.get(layer, {}).pop("weight", None)
            stored.put_away()  # now it reports the dtype it is computed in

    def bring(self, network: nn.Module, device: torch.device) -> None:
        """Replace parameters of ``network`` at home with copies on ``device``; those already there stay."""
        for parameter, home in self._parameters(network):
            if home.holds(parameter):
                parameter.data = home.copy_on(device)
        for _, stored in _stored(network):
            stored.bring(device)

    def put_away(self, network: nn.Module) -> None:
        """Drop the copies: every parameter is its home again. One of another dtype is not a copy and is kept."""
        for parameter, home in self._parameters(network):
            if parameter.dtype == home.dtype:
                parameter.data = home.tensor
        for _, stored in _stored(network):
            stored.put_away()

    def _parameters(self, network: nn.Module) -> Iterator[tuple[nn.Parameter, Home]]:
        for module in network.modules():
            for name, home in self._homes.get(module, {}).items():
                yield module.get_parameter(name), home


def _stored(network: nn.Module) -> Iterator[tuple[nn.Module, StoredWeight]]:
    for layer in stored_layers(network):
        stored = layer.stored
        assert isinstance(stored, StoredWeight)
        yield layer, stored
