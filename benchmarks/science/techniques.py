"""Prototypes of the techniques that ``benchmarks.science`` measures; none of them is in the product."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from diffusers import DDPMScheduler
from lycoris.modules.diag_oft import DiagOFTModule
from torch import Tensor, nn
from torch.nn import Parameter, functional

from lib_lora_train.config.groups.loss import LossSettings
from lib_lora_train.networks.lora import LoraModule
from lib_lora_train.networks.module import Layer, ModuleOptions, NetworkModule
from lib_lora_train.networks.network import Network
from lib_lora_train.training import step
from lib_lora_train.training.noise import NoisyBatch, draw_noise, mix_noise

TIMESTEPS = 1000
OFT_BLOCK = 8
LEAST_RANK = 0.5
"""At pure noise, T-LoRA has half of the ranks, as in the paper."""

Shares = Callable[[int, torch.Generator], Tensor]
"""Draws ``n`` numbers from 0 to 1, (n,): the share of the noisiest timestep."""


def logit_normal(mean: float, spread: float) -> Shares:
    """sigmoid(mean + spread · N(0, 1)), as in Stable Diffusion 3 (Esser et al. 2024, arXiv:2403.03206)."""
    return lambda count, generator: torch.sigmoid(mean + spread * torch.randn(count, generator=generator))


def beta(first: int, second: int) -> Shares:
    """Beta with whole parameters: the ``first``-th smallest of ``first + second - 1`` uniform numbers."""
    return lambda count, generator: torch.rand(count, first + second - 1, generator=generator).sort().values[:,
                                                                                                          first - 1]


def timesteps_from(shares: Shares) -> AbstractContextManager[object]:
    """Training steps draw their timesteps from ``shares`` within the context, and the noise as ever."""
    def add_noise(latents: Tensor, schedule: DDPMScheduler, settings: LossSettings, generator: torch.Generator,
                  device: torch.device | str = "cpu") -> NoisyBatch:
        noise = draw_noise(latents, settings, generator).to(device)
        drawn = (shares(len(latents), generator) * TIMESTEPS).long().clamp(max=TIMESTEPS - 1)
        return mix_noise(latents.to(device), noise, drawn.to(device), schedule)

    return patch.object(step, "add_noise", add_noise)


class RanksByTimestep:
    """T-LoRA (Soboleva et al. 2025, arXiv:2507.05964) without its orthogonal initialization.

    At timestep t of T, a layer of the UNet uses the first ``r_min + (r - r_min) · (T - t) / T`` of its r ranks,
    rounded up. While not ``on``, all are used, as in a webui that knows nothing about it.
    """

    def __init__(self, unet: nn.Module, network: Network) -> None:
        self.on = True
        self._timesteps = torch.zeros(1)
        self._hook = unet.register_forward_pre_hook(self._keep)
        for module in network.unet_modules.values():
            assert isinstance(module, LoraModule)
            module.addition = self._addition_of(module)  # type: ignore[method-assign,assignment]

    def remove(self) -> None:
        """Watch the UNet's timesteps no longer."""
        self._hook.remove()

    def _keep(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._timesteps = inputs[1]

    def _addition_of(self, module: LoraModule) -> Callable[[Tensor, float], Tensor]:
        def addition(x: Tensor, strength: float) -> Tensor:
            down, up = module.factors
            convolution, layer = isinstance(module.layer, nn.Conv2d), module.layer
            inner = (functional.conv2d(x, down, None, layer.stride, layer.padding, layer.dilation)  # type: ignore[arg-type]
                     if convolution else functional.linear(x, down))
            if self.on:
                least = LEAST_RANK * module.dim
                ranks = least + (module.dim - least) * (TIMESTEPS - self._timesteps) / TIMESTEPS
                kept = (torch.arange(module.dim) < ranks[:, None]).to(x.dtype)
                inner = inner * kept.view(len(x), -1, *[1] * (x.ndim - 2)) if convolution else (
                    inner * kept.view(len(x), *[1] * (x.ndim - 2), -1))
            outer = functional.conv2d(inner, up) if convolution else functional.linear(inner, up)
            return outer * (strength * module.scale)

        return addition


class OftModule(NetworkModule):
    """OFT (Qiu et al. 2023, arXiv:2306.07280): the rows of W are rotated in blocks, by lycoris-lora's ``diag-oft``."""

    def __init__(self, layer: Layer) -> None:
        super().__init__(layer, ModuleOptions())
        inner = DiagOFTModule("", layer, lora_dim=OFT_BLOCK, bypass_mode=False)
        self._inner = (inner,)
        self.register_parameter("oft_blocks", inner.oft_blocks)

    def low_rank_change(self) -> Tensor:
        """(R - I) W: float32."""
        return self._inner[0].make_weight(diff=True).float()


def oft_like(network: Network) -> Network:
    """OFT on the layers of ``network``, which is detached."""
    network.detach()
    return Network({key: OftModule(module.layer) for key, module in network.unet_modules.items()},
                   {key: OftModule(module.layer) for key, module in network.text_encoder_modules.items()})


class MovingAverages:
    """Exponential moving averages of ``parameters``, one for each window in steps; until it is full, the plain mean."""

    def __init__(self, parameters: list[Parameter], windows: tuple[float, ...]) -> None:
        self._parameters, self._steps = parameters, 0
        self._averages = {window: [one.detach().clone() for one in parameters] for window in windows}

    @torch.no_grad()
    def take(self) -> None:
        """Take the weights after a step into account."""
        self._steps += 1
        for window, averages in self._averages.items():
            for average, parameter in zip(averages, self._parameters, strict=True):
                average.lerp_(parameter, 1 / min(window, self._steps))

    @contextmanager
    def used(self, window: float) -> Iterator[None]:
        """The parameters are their averages within the context."""
        kept = [one.detach().clone() for one in self._parameters]
        with torch.no_grad():
            for parameter, average in zip(self._parameters, self._averages[window], strict=True):
                parameter.copy_(average)
            yield
            for parameter, own in zip(self._parameters, kept, strict=True):
                parameter.copy_(own)


def foreign_optimizer(name: str, rows: list[dict[str, Any]], rate: float,
                      arguments: Mapping[str, Any]) -> torch.optim.Optimizer:
    """CAME (Luo et al. 2023, arXiv:2307.02047) or ProdigyPlusScheduleFree, from their authors' packages.

    The latter finds its rate, so ``rate`` is its ``d_coef``; ``arguments`` are all others. Raises
    ``ModuleNotFoundError`` without the package.
    """
    if name == "CAME":
        module: Any = importlib.import_module("came_pytorch")
        made: torch.optim.Optimizer = module.CAME([{**row, "lr": rate * row["lr"]} for row in rows], lr=rate,
                                                  weight_decay=0.01, **arguments)
        return made
    module = importlib.import_module("prodigyplus.prodigy_plus_schedulefree")
    made = module.ProdigyPlusScheduleFree([{**row, "lr": 1.0} for row in rows], lr=1.0, d_coef=rate,
                                          **arguments)
    made.train()  # type: ignore[attr-defined]
    return made


def bytes_of_state(optimizer: torch.optim.Optimizer) -> int:
    """Bytes of the tensors that ``optimizer`` keeps."""
    states: Mapping[Any, Mapping[str, Any]] = getattr(optimizer, "optimizer", optimizer).state
    return sum(value.numel() * value.element_size() for state in states.values() for value in state.values()
               if isinstance(value, Tensor))


def as_ever() -> AbstractContextManager[object]:
    """No change."""
    return nullcontext()
