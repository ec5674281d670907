"""Base weights that lie in main memory for good, where the webui shares them, and are only copied to a GPU.

They are frozen, so that leaving the GPU copies nothing: each parameter is pointed at its home again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from weakref import WeakKeyDictionary

import torch
from torch import nn

from .lent import Home
from .stored_weights import StoredWeight, stored_layers


class Homes:
    """The homes of the parameters of some networks; empty where the weights belong to this process."""

    def __init__(self) -> None:
        self._homes: WeakKeyDictionary[nn.Module, dict[str, Home]] = WeakKeyDictionary()

    def note(self, networks: Iterable[nn.Module], dtype: torch.dtype) -> None:
        """From now on each parameter of ``networks`` has its home where it is now; ``dtype`` is that of the copies.

        The few that are not lent, as what has to be laid out anew, have theirs in this process's own memory.
        """
        for network in networks:
            for module in network.modules():
                homes = {name: Home(parameter.data, dtype) for name, parameter in
                         module.named_parameters(recurse=False)}
                if homes:
                    self._homes[module] = homes

    def hand_over(self, network: nn.Module) -> None:
        """Let the weights that ``store_weights`` has stored know their homes; do this before they are packed."""
        for layer, stored in _stored(network):
            stored.home = stored.home or self._homes.get(layer, {}).pop("weight", None)
            stored.put_away()  # from now on it says what it is computed in

    def bring(self, network: nn.Module, device: torch.device) -> None:
        """Give ``network`` copies on ``device`` of what is at home; what is there already stays."""
        for parameter, home in self._parameters(network):
            if home.holds(parameter):
                parameter.data = home.copy_on(device)
        for _, stored in _stored(network):
            stored.bring(device)

    def put_away(self, network: nn.Module) -> None:
        """Drop the copies: every parameter is its home again. One of another dtype by now is no copy, and is left."""
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
