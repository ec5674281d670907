"""Creates networks: a module of the configured type on each of the selected layers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn

from ..blocks.names import block_of
from ..config.groups.network import DYLORA, IA3, LOHA, LOKR, NetworkSettings
from ..errors import RunError
from .keys import UNET_PREFIX, key_table, text_encoder_prefixes
from .lora import DyLoraModule, LoraModule
from .module import Layer, ModuleOptions, NetworkModule, ScaledModule
from .network import Network, ParameterGroup, Rates
from .targets import IA3_ON_INPUT, text_encoder_targets, unet_targets

__all__ = ["LoraModule", "Network", "ParameterGroup", "create_network"]


def create_network(settings: NetworkSettings, unet: nn.Module | None,
                   text_encoders: nn.Module | Sequence[nn.Module] | None, seed: int, *,
                   scaled_alphas: bool = False) -> Network:
    """A new network on ``unet`` and ``text_encoders`` (None is skipped, as are parts the settings exclude).

    Each module has its own random stream, derived from ``seed`` and its key: the same seed gives the same weights
    whatever else is trained and whatever torch's global state is. Freezes the base model. ``scaled_alphas`` moves
    block rates into the alphas, for an optimizer with a single rate. Raises ``RunError`` if nothing would be trained.
    """
    encoders = [text_encoders] if isinstance(text_encoders, nn.Module) else list(text_encoders or ())
    for part in (unet, *encoders):
        if part is not None:
            part.requires_grad_(False)
    unet_modules: dict[str, NetworkModule] = {}
    text_encoder_modules: dict[str, NetworkModule] = {}
    if unet is not None and not settings.network_train_text_encoder_only:
        unet_modules = _modules(settings, unet, UNET_PREFIX, unet_targets(unet, settings.network_type), seed)
    if not settings.network_train_unet_only:
        for prefix, encoder in zip(text_encoder_prefixes(len(encoders)), encoders, strict=True):
            targets = text_encoder_targets(encoder, settings.network_type)
            text_encoder_modules |= _modules(settings, encoder, prefix, targets, seed)
    if not unet_modules and not text_encoder_modules:
        raise RunError("Nothing would be trained: neither UNet nor text encoder gets a network. Switch off "
                       "network_train_unet_only or network_train_text_encoder_only, and give some block in "
                       "block_lr_weight or block_dims more than 0.")
    if scaled_alphas:
        scale_alphas({**unet_modules, **text_encoder_modules}, settings.block_rates or {}, keep_change=False)
    return Network(unet_modules, text_encoder_modules, rates_of(settings, None if scaled_alphas else
                                                                settings.block_rates))


def rates_of(settings: NetworkSettings, by_block: Mapping[str, float] | None) -> Rates:
    """The learning rate factors within the network, with those of each block ``by_block``."""
    return Rates(by_block, settings.loraplus_lr_ratio or 1.0)


def scale_alphas(modules: Mapping[str, NetworkModule], rates: Mapping[str, float], *, keep_change: bool) -> None:
    """Scale the alpha of each of ``modules`` by the rate of its block; see ``ScaledModule.scale_alpha``.

    Raises ``RunError`` for a module without an effective alpha.
    """
    for key, module in modules.items():
        factor = rates.get(block_of(key) or "", 1.0)
        if factor in (0.0, 1.0) or not module.is_trained:
            continue
        if not module.has_alpha or not isinstance(module, ScaledModule):
            raise RunError(f"network.block_lr_weight gives {block_of(key)} the rate {factor:g}, which an optimizer "
                           f"with one rate can only do by way of alpha, and {key} has none: LoKR keeps both of its "
                           "factors whole there. Use a lower network_dim, rates of 0 and 1, or an optimizer such as "
                           "AdamW.")
        module.scale_alpha(factor, keep_change=keep_change)


def options_of(settings: NetworkSettings) -> ModuleOptions:
    """The module options from the settings."""
    return ModuleOptions(dropout=settings.network_dropout, rank_dropout=settings.rank_dropout,
                         module_dropout=settings.module_dropout, dora=settings.dora_wd, rs_lora=settings.rs_lora,
                         lokr_factor=settings.lokr_factor, decompose_both=settings.decompose_both,
                         dylora_unit=settings.dylora_unit)


def _modules(settings: NetworkSettings, root: nn.Module, prefix: str, targets: Iterator[tuple[str, nn.Module]],
             seed: int) -> dict[str, NetworkModule]:
    keys = {path: key for key, path in key_table(prefix, (path for path, _ in root.named_modules())).items()}
    modules = {}
    for path, layer in targets:
        key = keys[path]
        assert isinstance(layer, (nn.Linear, nn.Conv2d))
        module = _module(settings, key, layer, path, _generator(seed, key))
        if module is not None:
            modules[key] = module.to(device=layer.weight.device)
    return modules


def _module(settings: NetworkSettings, key: str, layer: Layer, path: str,
            generator: torch.Generator) -> NetworkModule | None:
    """A module for ``layer``; ``None`` if its block is not trained."""
    spatial = isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1)
    size = settings.size_of(block_of(key), spatial=spatial)
    if size is None:
        return None
    dim, alpha = size
    options = options_of(settings)
    if settings.network_type == IA3:
        return _ia3(path, layer, options)
    if settings.network_type == DYLORA:
        return DyLoraModule(layer, dim, alpha, generator, options)
    if settings.network_type in (LOHA, LOKR):
        from .lycoris import LohaModule, LokrModule  # takes a second to import, only for these types
        return (LohaModule if settings.network_type == LOHA else LokrModule)(layer, dim, alpha, generator, options)
    return LoraModule(layer, dim, alpha, generator, options)


def _ia3(path: str, layer: Layer, options: ModuleOptions) -> NetworkModule:
    from .lycoris import Ia3Module
    return Ia3Module(layer, path.endswith(IA3_ON_INPUT), options)


def _generator(seed: int, key: str) -> torch.Generator:
    digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
