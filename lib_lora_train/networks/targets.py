"""Which modules of the base model get a LoRA."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from torch import nn

UNET_ATTENTION = ("Transformer2DModel",)
TEXT_ENCODER_LAYERS = ("CLIPAttention", "CLIPSdpaAttention", "CLIPFlashAttention2", "CLIPMLP")


def attention_targets(root: nn.Module, containers: Collection[str]) -> Iterator[tuple[str, nn.Module]]:
    """Path and module of every Linear and 1x1 convolution inside a module whose class is named in ``containers``.

    With ``UNET_ATTENTION`` on the UNet and ``TEXT_ENCODER_LAYERS`` on the text encoder this is LoRA-LierLa.
    """
    seen: set[str] = set()
    for outer, container in root.named_modules():
        if type(container).__name__ not in containers:
            continue
        for inner, module in container.named_modules(prefix=outer):
            if inner not in seen and _is_linear_or_pointwise(module):
                seen.add(inner)
                yield inner, module


def _is_linear_or_pointwise(module: nn.Module) -> bool:
    if isinstance(module, nn.Conv2d):
        return module.kernel_size == (1, 1)
    return isinstance(module, nn.Linear)
