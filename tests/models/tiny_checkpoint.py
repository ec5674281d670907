"""A narrow random SD 1.x checkpoint in the original layout, and the networks it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from tests.make_mini.compvis_layout import unet_state, vae_state

UNET = "model.diffusion_model."
VAE = "first_stage_model."
TEXT = "cond_stage_model.transformer."
TEXT_WIDTH = 128
TEXT_LAYERS = 3
WORDS = 100


@dataclass(frozen=True)
class Tiny:
    """The networks and the tensors of the file made from them."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    state: dict[str, Tensor]

    def save(self, path: Path) -> Path:
        save_file({key: tensor.contiguous() for key, tensor in self.state.items()}, path)
        return path


def make_tiny(seed: int = 0) -> Tiny:
    """Random networks; every level has its own width, so that a level that is mistaken for another is found."""
    return _make(seed, (32, 64, 96, 96), (32, 64, 64, 96), 2)


def make_narrow(seed: int = 0) -> Tiny:
    """All blocks of SD 1.x in half the widths, for what calculates something for each layer."""
    return _make(seed, (32, 32, 32, 64), (32, 32, 32, 64), 2)


def make_micro(seed: int = 0) -> Tiny:
    """The least of it: each kind of level and layer once. A run takes a third of the time."""
    return _make(seed, (32, 64), (32, 32, 32, 64), 1)


def few_words(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``state`` with a few of the words, for what computes no captions: each text encoder's are 25 MB of the file."""
    return {key: tensor[:WORDS].clone() if key.endswith("token_embedding.weight") else tensor
            for key, tensor in state.items()}


def _make(seed: int, widths: tuple[int, ...], vae_widths: tuple[int, ...], layers: int) -> Tiny:
    attention = len(widths) - 1
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            block_out_channels=widths, cross_attention_dim=TEXT_WIDTH, attention_head_dim=8, layers_per_block=layers,
            down_block_types=("CrossAttnDownBlock2D",) * attention + ("DownBlock2D",),
            up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * attention)
        vae = AutoencoderKL(block_out_channels=vae_widths, layers_per_block=layers, latent_channels=4,
                            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
        text_encoder = CLIPTextModel(CLIPTextConfig(
            hidden_size=TEXT_WIDTH, intermediate_size=160, num_hidden_layers=TEXT_LAYERS, num_attention_heads=2,
            bos_token_id=49406, eos_token_id=49407, projection_dim=TEXT_WIDTH))
        for network in (unet, vae, text_encoder):
            _make_every_tensor_matter(network)
    state = {UNET + key: tensor for key, tensor in unet_state(unet).items()}
    state |= {VAE + key: tensor for key, tensor in vae_state(vae).items()}
    state |= {TEXT + key: tensor for key, tensor in text_encoder.state_dict().items()}
    state[TEXT + "text_model.embeddings.position_ids"] = torch.arange(77)[None]
    state["alphas_cumprod"] = torch.linspace(1, 0, 1000)
    return Tiny(unet, vae, text_encoder, {key: tensor.detach() for key, tensor in state.items()})


def _make_every_tensor_matter(network: nn.Module) -> None:
    """Norms begin as ones and zeros and biases as zeros: two of them exchanged would not be noticed."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    network.requires_grad_(False).eval()
