"""The arithmetic of the webui's built-in Lora extension, as far as block weights meet it: a stand-in with real numbers.

Layers are changed in place when they next run, from a copy of their base, whenever names and strengths of the active
networks differ from those they were last changed for.
"""

from __future__ import annotations

import types
from dataclasses import dataclass, field

import torch


class NetworkModule:
    def __init__(self, network, sd_key, change, bias_change=None):
        self.network, self.sd_key, self.change, self.bias_change = network, sd_key, change, bias_change

    def multiplier(self):
        if "transformer" in self.sd_key[:20]:
            return self.network.te_multiplier
        return self.network.unet_multiplier

    def calc_updown(self, weight):
        bias = None if self.bias_change is None else self.bias_change * self.multiplier()
        return self.change(weight) * self.multiplier(), bias


@dataclass
class Network:
    name: str
    modules: dict = field(default_factory=dict)
    te_multiplier: float = 1.0
    unet_multiplier: float = 1.0
    dyn_dim: int | None = None


class Layer:
    """A layer of the model with its base kept aside."""

    def __init__(self, name, weight):
        self.name = name
        self.weight, self.bias = weight.clone(), torch.linspace(-1, 1, len(weight))
        self.base, self.base_bias = self.weight.clone(), self.bias.clone()
        self.applied = ()

    def forward(self, active):
        wanted = tuple((n.name, n.te_multiplier, n.unet_multiplier, n.dyn_dim) for n in active)
        if wanted == self.applied:
            return False
        self.weight.copy_(self.base)
        self.bias.copy_(self.base_bias)
        for network in active:
            module = network.modules.get(self.name)
            if module is None:
                continue
            change, bias = module.calc_updown(self.weight)
            self.weight.copy_(self.weight + change)
            if bias is not None:
                self.bias.copy_(self.bias + bias)
        self.applied = wanted
        return True


class ExtraNetworkParams:
    def __init__(self, items):
        self.items = items
        self.named = dict(item.split("=", 1) for item in items if "=" in item)
        self.positional = [item for item in items if "=" not in item]


class Extension:
    """The modules ``networks``, ``network`` and ``extra_networks_lora`` in one, with ``files`` on disk."""

    def __init__(self, files):
        self.files = {network.name: network for network in files}
        self.reads = 0
        self.networks = types.SimpleNamespace(loaded_networks=[])

    def activate(self, p, parameters):
        """As ``ExtraNetworkLora.activate``: strengths from what stands in the prompt."""
        self.networks.loaded_networks.clear()
        for one in parameters:
            te = float(one.positional[1]) if len(one.positional) > 1 else 1.0
            te = float(one.named.get("te", te))
            unet = float(one.positional[2]) if len(one.positional) > 2 else te
            network = self.files[one.positional[0]]
            network.te_multiplier, network.unet_multiplier = te, float(one.named.get("unet", unet))
            self.networks.loaded_networks.append(network)


def changes(kind, shape, generator):
    """What a network of ``kind`` adds at strength 1 to a weight of ``shape``: a function of the weight."""
    out, into, *kernel = shape

    def random(*size):
        return torch.randn(*size, generator=generator, dtype=torch.float64) * 0.3

    def shaped(matrix):
        return matrix.reshape(shape).float()

    flat = into * (kernel[0] * kernel[1] if kernel else 1)
    low_rank = random(out, 2) @ random(2, flat)
    fixed = {"lora": low_rank, "loha": low_rank * (random(out, 2) @ random(2, flat)), "full": random(out, flat),
             "lokr": torch.kron(random(2, 1) @ random(1, 2), random(out // 2, 3) @ random(3, flat // 2))}
    if kind in fixed:
        return lambda weight: shaped(fixed[kind])
    if kind == "ia3":
        scale = random(out, 1).float()
        return lambda weight: (weight.reshape(out, flat) * scale).reshape(shape)
    if kind == "glora":
        left, right = random(out, flat).float(), random(flat, flat).float()
        return lambda weight: (left + weight.reshape(out, flat) @ right).reshape(shape)
    if kind == "oft":
        angle = random(out, out)
        turn = torch.linalg.matrix_exp(angle - angle.T).float()
        return lambda weight: (turn @ weight.reshape(out, flat)).reshape(shape) - weight
    if kind == "dora":
        size = random(1, flat).abs().float() + 1
        return lambda weight: _resized(weight.reshape(out, flat), low_rank.float(), size).reshape(shape)
    raise ValueError(kind)


def _resized(weight, change, size):
    merged = weight + change
    return merged * size / merged.norm(dim=0, keepdim=True) - weight


KINDS = ("lora", "loha", "lokr", "full", "ia3", "glora", "oft", "dora")
