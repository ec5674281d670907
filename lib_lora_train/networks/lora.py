"""LoRA (Hu et al. 2021, arXiv:2106.09685): y = W x + b + multiplier · alpha / dim · up(down(x)) for chosen layers."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import skip_init

from ..config.groups.network import NetworkSettings
from ..errors import RunError
from .keys import TEXT_ENCODER_PREFIX, UNET_PREFIX, lora_key
from .targets import TEXT_ENCODER_LAYERS, UNET_ATTENTION, attention_targets


class LoraModule(nn.Module):
    """A low-rank addition to one Linear or Conv2d layer, whose weight is neither changed nor owned.

    ``down`` begins uniform in ±1/sqrt(fan in), as kaiming_uniform with a = sqrt(5) does; ``up`` begins at zero, so
    at first nothing changes. The factors are float32 and are computed with in the dtype of the layer's input, or
    of autocast where that is on.
    """

    alpha: Tensor

    def __init__(self, layer: nn.Linear | nn.Conv2d, dim: int, alpha: float, generator: torch.Generator) -> None:
        super().__init__()
        if isinstance(layer, nn.Conv2d):
            if layer.groups != 1:
                raise ValueError(f"a convolution in {layer.groups} groups has no LoRA")
            # skip_init, since torch's own initialisation would draw from the global random state
            self.lora_down = skip_init(nn.Conv2d, layer.in_channels, dim, layer.kernel_size, bias=False)
            self.lora_up = skip_init(nn.Conv2d, dim, layer.out_channels, 1, bias=False)
        else:
            self.lora_down = skip_init(nn.Linear, layer.in_features, dim, bias=False)
            self.lora_up = skip_init(nn.Linear, dim, layer.out_features, bias=False)
        self.register_buffer("alpha", torch.tensor(float(alpha)))
        self.dim = dim
        self.scale = float(alpha) / dim  # a plain number, since reading the buffer on a GPU would wait for it
        self.register_load_state_dict_post_hook(_take_alpha)
        self.multiplier = 1.0
        self._reset(generator)
        self._layer = (layer,)  # in a tuple, so that it is not taken for a part of the network
        self._forward_before = layer.forward

    def _reset(self, generator: torch.Generator) -> None:
        down, up = self.factors
        bound = 1 / math.sqrt(down[0].numel())
        with torch.no_grad():
            down.uniform_(-bound, bound, generator=generator)
            up.zero_()

    @property
    def layer(self) -> nn.Linear | nn.Conv2d:
        """The layer that is added to."""
        return self._layer[0]

    @property
    def factors(self) -> tuple[nn.Parameter, nn.Parameter]:
        """``down`` (dim, in[, kernel, kernel]) and ``up`` (out, dim[, 1, 1])."""
        return self.lora_down.weight, self.lora_up.weight  # type: ignore[return-value]

    def attach(self) -> None:
        """Let the layer compute with this addition."""
        self.layer.forward = self.forward  # type: ignore[method-assign,assignment]

    def detach(self) -> None:
        """Give the layer its own forward back."""
        self.layer.forward = self._forward_before  # type: ignore[method-assign]

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output for ``x`` with the addition, in the dtype of the layer's own output."""
        output = self._forward_before(x)
        if self.multiplier == 0:
            return output
        down, up = (factor.to(x.dtype) for factor in self.factors)
        if isinstance(self.layer, nn.Conv2d):
            layer = self.layer
            inner = functional.conv2d(x, down, None, layer.stride, layer.padding, layer.dilation)
            addition = functional.conv2d(inner, up)
        else:
            addition = functional.linear(functional.linear(x, down), up)
        return output + (addition * (self.multiplier * self.scale)).to(output.dtype)

    @torch.no_grad()
    def weight_change(self) -> Tensor:
        """What this addition, at multiplier 1, adds to the layer's weight: float32, the weight's shape."""
        down, up = (factor.detach().float() for factor in self.factors)
        return (self.scale * (up.flatten(1) @ down.flatten(1))).view(self.layer.weight.shape)


def _take_alpha(module: nn.Module, incompatible: object) -> None:
    """After loading a state, scale by the alpha that came with it."""
    assert isinstance(module, LoraModule)
    module.scale = float(module.alpha) / module.dim


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a learning rate: those of the ``unet`` or of the ``text_encoder``."""

    part: str
    parameters: tuple[nn.Parameter, ...]


class Network(nn.Module):
    """All LoRA modules, by their key in the file; ``state_dict()`` is what is saved.

    Making a network attaches it: from then on the base model computes with it. The base weights are not touched.
    """

    def __init__(self, unet_modules: Mapping[str, LoraModule], text_encoder_modules: Mapping[str, LoraModule]) -> None:
        super().__init__()
        self.unet_keys = tuple(unet_modules)
        self.text_encoder_keys = tuple(text_encoder_modules)
        for key, module in {**text_encoder_modules, **unet_modules}.items():
            self.add_module(key, module)
            module.attach()

    @property
    def unet_modules(self) -> dict[str, LoraModule]:
        """LoRA modules of the UNet by key."""
        return {key: self.lora(key) for key in self.unet_keys}

    @property
    def text_encoder_modules(self) -> dict[str, LoraModule]:
        """LoRA modules of the text encoder by key."""
        return {key: self.lora(key) for key in self.text_encoder_keys}

    def lora(self, key: str) -> LoraModule:
        """The module named ``key``."""
        module = self.get_submodule(key)
        assert isinstance(module, LoraModule)
        return module

    def loras(self) -> Iterable[LoraModule]:
        """Every module, text encoder first."""
        return (self.lora(key) for key in (*self.text_encoder_keys, *self.unet_keys))

    def parameter_groups(self) -> tuple[ParameterGroup, ...]:
        """The trainable parameters, text encoder first; a part without modules is left out."""
        parts = (("text_encoder", self.text_encoder_modules), ("unet", self.unet_modules))
        return tuple(ParameterGroup(part, tuple(parameter for module in modules.values()
                                                for parameter in module.parameters()))
                     for part, modules in parts if modules)

    @property
    def multiplier(self) -> float:
        """How strongly the base model is changed; 1 while training, 0 for the base model alone."""
        return next((module.multiplier for module in self.loras()), 1.0)

    @multiplier.setter
    def multiplier(self, value: float) -> None:
        for module in self.loras():
            module.multiplier = float(value)

    def attach(self) -> None:
        """Let the base model compute with the network."""
        for module in self.loras():
            module.attach()

    def detach(self) -> None:
        """Give the base model back as it was."""
        for module in self.loras():
            module.detach()


def create_network(settings: NetworkSettings, unet: nn.Module | None, text_encoder: nn.Module | None,
                   seed: int) -> Network:
    """A new network on ``unet`` and ``text_encoder`` (None is left alone, as are parts the settings exclude).

    Each module begins from a random stream of its own, made of ``seed`` and its key: the same seed gives the same
    weights whatever else is trained and whatever torch's global state is. Freezes the base model.
    Raises ``RunError`` if nothing would be trained.
    """
    train_unet = unet is not None and not settings.network_train_text_encoder_only
    train_text_encoder = text_encoder is not None and not settings.network_train_unet_only
    for part in (unet, text_encoder):
        if part is not None:
            part.requires_grad_(False)
    unet_modules = _modules(settings, UNET_PREFIX, unet, UNET_ATTENTION, seed) if train_unet else {}
    text_encoder_modules = (_modules(settings, TEXT_ENCODER_PREFIX, text_encoder, TEXT_ENCODER_LAYERS, seed)
                            if train_text_encoder else {})
    if not unet_modules and not text_encoder_modules:
        raise RunError("Nothing would be trained: neither UNet nor text encoder gets a network. Switch off "
                       "network_train_unet_only or network_train_text_encoder_only.")
    return Network(unet_modules, text_encoder_modules)


def _modules(settings: NetworkSettings, prefix: str, root: nn.Module | None, containers: tuple[str, ...],
             seed: int) -> dict[str, LoraModule]:
    assert root is not None
    modules = {}
    for path, layer in attention_targets(root, containers):
        key = lora_key(prefix, path)
        assert isinstance(layer, (nn.Linear, nn.Conv2d))
        module = LoraModule(layer, settings.network_dim, settings.alpha, _generator(seed, key))
        modules[key] = module.to(device=layer.weight.device)
    return modules


def _generator(seed: int, key: str) -> torch.Generator:
    digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
