"""Checkpoints with random weights in the original layout: SD 1.5 and SDXL in full size, and miniatures of both.

They are made on the device in half precision and written once, since random weights are as fast as trained ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import CLIPTextConfig, CLIPTextModel

from lib_lora_train.models.family import TEXT, UNET, VAE
from tests.make_mini.compvis_layout import vae_state
from tests.models.tiny_families import (
    CLIP_L,
    OPEN_CLIP_XL,
    Shape,
    open_clip_state,
    unet_state,
)

SD15, SDXL = "sd15", "sdxl"
KINDS = (SD15, SDXL)
Shapes = dict[str, tuple[int, ...]]

_SD_DOWN, _SD_UP = ((1, 1), (1, 1), (1, 1), (0, 0)), ((0, 0, 0), (1, 1, 1), (1, 1, 1), (1, 1, 1))
_POOLED, _SIZE_NUMBERS = 1280, 6
_UNETS = {
    (SD15, False): Shape((320, 640, 1280, 1280), _SD_DOWN, 1, _SD_UP, 768),
    (SD15, True): Shape((32, 64), ((1,), (0,)), 1, ((0, 0), (1, 1)), 64),
    (SDXL, False): Shape((320, 640, 1280), ((0, 0), (2, 2), (10, 10)), 10, ((10, 10, 10), (2, 2, 2), (0, 0, 0)), 2048,
                         _POOLED + _SIZE_NUMBERS * 256),
    (SDXL, True): Shape((64, 128), ((0,), (2,)), 2, ((2, 2), (0, 0)), 128, 64 + _SIZE_NUMBERS * 32)}
_CLIP_L = {False: (768, 12), True: (64, 2)}
_OPEN_CLIP = {False: (1280, 32, _POOLED), True: (64, 2, 64)}
"""Width, layers and, of OpenCLIP, width of the pooled output, full-size and mini."""


def shapes_of(kind: str, *, mini: bool = False) -> Shapes:
    """The names and shapes of all tensors of a checkpoint of ``kind``, ``sd15`` or ``sdxl``."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        unet = {key: tuple(tensor.shape) for key, tensor in unet_state(_UNETS[kind, mini], 0).items()}
        if kind == SD15:  # SD 1.x projects by 1x1 convolutions
            unet = {key: (*shape, 1, 1) if key.endswith(("proj_in.weight", "proj_out.weight")) else shape
                    for key, shape in unet.items()}
        parts: dict[str, Mapping[str, Sequence[int]]] = {UNET: unet, VAE: _vae_shapes(mini)}
        parts[TEXT if kind == SD15 else CLIP_L] = _clip_shapes(mini)
        if kind == SDXL:
            width, layers, pooled = _OPEN_CLIP[mini]
            parts[OPEN_CLIP_XL] = {key: tuple(tensor.shape)
                                   for key, tensor in open_clip_state(0, width, layers, pooled).items()}
    return {prefix + key: tuple(shape) for prefix, part in parts.items() for key, shape in part.items()}


def write_random(kind: str, path: Path, device: torch.device | str = "cpu", *, mini: bool = False) -> Path:
    """Write a checkpoint of ``kind`` with random weights in float16, made on ``device``; the same each time there."""
    generator = torch.Generator(device).manual_seed(0)
    state = {}
    for name, shape in shapes_of(kind, mini=mini).items():
        state[name] = _random(name, shape, generator).cpu()
    save_file(state, path)
    return path


def _random(name: str, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Layers of about unit gain, norms that change nothing, small biases and embeddings."""
    made = torch.randn(tuple(shape), generator=generator, device=generator.device, dtype=torch.float16)
    if len(shape) > 1:
        small = "embedding" in name or name.endswith("text_projection")
        return made * (0.02 if small else 1 / math.sqrt(math.prod(shape[1:])))
    return made * 0.02 + (1 if name.endswith(".weight") else 0)


def _vae_shapes(mini: bool) -> Shapes:
    channels = (32, 32, 32, 32) if mini else (128, 256, 512, 512)
    with torch.device("meta"):
        vae = AutoencoderKL(block_out_channels=channels, layers_per_block=1 if mini else 2, latent_channels=4,
                            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
    return {key: tuple(tensor.shape) for key, tensor in vae_state(vae).items()}


def _clip_shapes(mini: bool) -> Shapes:
    width, layers = _CLIP_L[mini]
    with torch.device("meta"):
        encoder = CLIPTextModel(CLIPTextConfig(hidden_size=width, intermediate_size=4 * width,
                                               num_hidden_layers=layers, num_attention_heads=width // 64))
    return dict(_named(encoder.state_dict()))


def _named(state: Mapping[str, Tensor]) -> Iterator[tuple[str, tuple[int, ...]]]:
    return ((key, tuple(tensor.shape)) for key, tensor in state.items())
