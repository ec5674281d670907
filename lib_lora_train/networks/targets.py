"""The layers of the base model that each network type trains."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from torch import nn

from ..config.groups.network import C3LIER, IA3, LIERLA

UNET_ATTENTION = ("Transformer2DModel",)
UNET_CONVOLUTIONS = ("ResnetBlock2D", "Downsample2D", "Upsample2D")
TEXT_ENCODER_LAYERS = ("CLIPAttention", "CLIPSdpaAttention", "CLIPFlashAttention2", "CLIPMLP")
_IA3_ENDINGS = (".to_k", ".to_v", ".ff.net.2", ".k_proj", ".v_proj", ".mlp.fc2")
IA3_ON_INPUT = (".ff.net.2", ".mlp.fc2")
"""The layers whose input (IA)^3 scales, Liu et al. 2022 (arXiv:2205.05638) section 3.3; for others it is the output."""


def unet_targets(root: nn.Module, network_type: str) -> Iterator[tuple[str, nn.Module]]:
    """Path and layer of everything that ``network_type`` trains in a UNet.

    LoRA-LierLa has the Linear layers and 1x1 convolutions of the attention blocks, (IA)^3 a subset; LoRA-C3Lier also
    has the layers of residual blocks and samplers, LyCORIS the first convolution as well.
    """
    if network_type in (LIERLA, IA3):
        yield from _chosen(_layers_in(root, UNET_ATTENTION, only_pointwise=True), network_type)
        return
    if network_type != C3LIER:
        first = root.get_submodule("conv_in")
        yield "conv_in", first
    yield from _layers_in(root, UNET_ATTENTION + UNET_CONVOLUTIONS, only_pointwise=False)


def text_encoder_targets(root: nn.Module, network_type: str) -> Iterator[tuple[str, nn.Module]]:
    """Path and layer of everything that ``network_type`` trains in a text encoder."""
    yield from _chosen(_layers_in(root, TEXT_ENCODER_LAYERS, only_pointwise=True), network_type)


def _chosen(layers: Iterator[tuple[str, nn.Module]], network_type: str) -> Iterator[tuple[str, nn.Module]]:
    return (pair for pair in layers if network_type != IA3 or pair[0].endswith(_IA3_ENDINGS))


def _layers_in(root: nn.Module, containers: Collection[str], *,
               only_pointwise: bool) -> Iterator[tuple[str, nn.Module]]:
    """Every Linear and convolution layer inside modules whose class is in ``containers``, each once."""
    seen: set[str] = set()
    for outer, container in root.named_modules():
        if type(container).__name__ not in containers:
            continue
        for inner, module in container.named_modules(prefix=outer):
            if inner not in seen and _can_be_trained(module, only_pointwise):
                seen.add(inner)
                yield inner, module


def _can_be_trained(module: nn.Module, only_pointwise: bool) -> bool:
    if isinstance(module, nn.Conv2d):
        return not only_pointwise or module.kernel_size == (1, 1)
    return isinstance(module, nn.Linear)
