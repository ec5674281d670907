"""A narrow random SD 1.x checkpoint in the original layout, and the networks it was made from."""

from __future__ import annotations

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
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(block_out_channels=(32, 64, 96, 96), cross_attention_dim=TEXT_WIDTH,
                                    attention_head_dim=8, layers_per_block=2)
        vae = AutoencoderKL(block_out_channels=(32, 64, 64, 96), layers_per_block=2, latent_channels=4,
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
