"""A network: the modules on a UNet and its text encoders, by their key in the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import nn

from ..blocks.names import block_of
from .keys import part_of
from .module import NetworkModule


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a learning rate: those of ``unet``, ``text_encoder`` or SDXL's ``text_encoder_2``.

    ``rate_factor`` multiplies the part's rate. ``block`` is set if blocks have their own rates.
    """

    part: str
    parameters: tuple[nn.Parameter, ...]
    rate_factor: float = 1.0
    block: str | None = None


@dataclass(frozen=True)
class Rates:
    """Learning rate factors: of each block (``None``: all the same), and of the up matrices (LoRA+)."""

    by_block: Mapping[str, float] | None = None
    up_ratio: float = 1.0


class Network(nn.Module):
    """All modules, by their key in the file; ``state_dict()`` is what is saved.

    Creating a network attaches it: the base model then computes with it. The base weights are not touched. Dropout is
    off until ``train()``, so that samples match the saved file.
    """

    def __init__(self, unet_modules: Mapping[str, NetworkModule], text_encoder_modules: Mapping[str, NetworkModule],
                 rates: Rates | None = None) -> None:
        super().__init__()
        self.unet_keys = tuple(unet_modules)
        self.text_encoder_keys = tuple(text_encoder_modules)
        self._rates = rates or Rates()
        for key, module in {**text_encoder_modules, **unet_modules}.items():
            self.add_module(key, module)
            module.attach()
        self.eval()

    @property
    def unet_modules(self) -> dict[str, NetworkModule]:
        """Modules of the UNet by key."""
        return {key: self.lora(key) for key in self.unet_keys}

    @property
    def text_encoder_modules(self) -> dict[str, NetworkModule]:
        """Modules of the text encoders by key."""
        return {key: self.lora(key) for key in self.text_encoder_keys}

    def lora(self, key: str) -> NetworkModule:
        """The module named ``key``."""
        module = self.get_submodule(key)
        assert isinstance(module, NetworkModule)
        return module

    def loras(self) -> Iterable[NetworkModule]:
        """Every module, text encoder first."""
        return (self.lora(key) for key in (*self.text_encoder_keys, *self.unet_keys))

    def train(self, mode: bool = True) -> Network:
        """Start or end training mode; frozen modules never use dropout."""
        super().train(mode)
        for module in self.loras():
            module.train(mode and module.is_trained)
        return self

    def parameter_groups(self) -> tuple[ParameterGroup, ...]:
        """The trained parameters, text encoder first; parts without trained parameters are absent.

        One group per part; with block rates one per block; with LoRA+ each is split in two.
        """
        groups: dict[tuple[str, str | None, float], list[nn.Parameter]] = {}
        for key, module in {**self.text_encoder_modules, **self.unet_modules}.items():
            part = part_of(key)
            block = block_of(key) if self._rates.by_block is not None else None
            factor = (self._rates.by_block or {}).get(block or "", 1.0)
            ups = {id(parameter) for parameter in module.up_parameters}
            for parameter in module.parameters():
                ratio = self._rates.up_ratio if id(parameter) in ups else 1.0
                if parameter.requires_grad:
                    groups.setdefault((part, block, factor * ratio), []).append(parameter)
        return tuple(ParameterGroup(part, tuple(parameters), factor, block)
                     for (part, block, factor), parameters in groups.items())

    @property
    def trains_text_encoder(self) -> bool:
        """Whether gradients have to flow through the text encoders."""
        return any(module.is_trained for module in self.text_encoder_modules.values())

    def apply_max_norm(self, limit: float) -> None:
        """Scale down every trained module whose ΔW has a Frobenius norm above ``limit``: max-norm regularization."""
        for module in self.loras():
            if module.is_trained:
                module.limit_norm(limit)

    @property
    def multiplier(self) -> float:
        """The strength of the network; 1 while training, 0 for the base model alone."""
        return next((module.multiplier for module in self.loras()), 1.0)

    @multiplier.setter
    def multiplier(self, value: float) -> None:
        for module in self.loras():
            module.multiplier = float(value)

    def attach(self) -> None:
        """Make the base model compute with the network."""
        for module in self.loras():
            module.attach()

    def detach(self) -> None:
        """Restore the base model."""
        for module in self.loras():
            module.detach()
