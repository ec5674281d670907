"""The miniature's networks: the shapes of SD 1.5, only narrow."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from tests.make_mini.vocabulary import TEXT_CONFIG, WIDTH

VAE_CHANNELS = (32, 32, 64, 64)
LATENT_SCALE = 0.18215


def new_vae() -> AutoencoderKL:
    """SD's autoencoder, f=8 and z=4, with 32 to 64 channels."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=VAE_CHANNELS,
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=32,
        scaling_factor=LATENT_SCALE,
    )


def new_unet() -> UNet2DConditionModel:
    """SD 1.5's UNet: attention in the three upper levels, 8 heads, convolutions as projections."""
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(WIDTH,) * 4,
        cross_attention_dim=WIDTH,
        attention_head_dim=8,
        layers_per_block=2,
    )


def text_config() -> CLIPTextConfig:
    """CLIP ViT-L's text tower, 64 wide."""
    return CLIPTextConfig(**TEXT_CONFIG)


def new_text_encoder() -> CLIPTextModel:
    """A text tower with frozen random words, so that one it has never read is as good a name as one it has.

    CLIP's own deviation of 0.02 would leave words next to nothing beside the positions.
    """
    encoder = CLIPTextModel(text_config())
    embeddings = encoder.text_model.embeddings
    torch.nn.init.normal_(embeddings.token_embedding.weight, std=0.1)
    embeddings.token_embedding.requires_grad_(False)
    torch.nn.init.normal_(embeddings.position_embedding.weight, std=0.03)
    return encoder


@torch.no_grad()
def with_text_mean(
    unet: UNet2DConditionModel, text_encoder: CLIPTextModel, mean: float = -0.1
) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """Copies that draw the same, but whose text encoder's output has this mean instead of nearly 0.

    The webui's emphasis divides by that mean. A shift of all tokens changes no attention, only all values by a
    constant, which the output projections take back in their biases.
    """
    unet, text_encoder = copy.deepcopy(unet), copy.deepcopy(text_encoder)
    text_encoder.text_model.final_layer_norm.bias.add_(mean)
    for name, module in unet.named_modules():
        if name.endswith(".attn2"):
            output = module.to_out[0]
            output.bias.sub_(output.weight @ (module.to_v.weight.sum(1) * mean))
    return unet, text_encoder


class Average:
    """Exponential moving average of the parameters of some modules."""

    def __init__(self, modules: Iterable[torch.nn.Module], decay: float) -> None:
        self.parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
        self.decay = decay
        self.shadow = [p.detach().clone() for p in self.parameters]
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Move towards the parameters, faster at the beginning."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.shadow, [p.detach() for p in self.parameters], 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange averaged and live values; calling it again undoes it."""
        for parameter, average in zip(self.parameters, self.shadow, strict=True):
            live = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(live)


def save_state(path: Path, **modules: torch.nn.Module) -> None:
    """Write the modules' weights into one file, beside it first and then renamed."""
    part = path.with_suffix(".part")
    torch.save({name: module.state_dict() for name, module in modules.items()}, part)
    part.replace(path)


def load_state(path: Path, **modules: torch.nn.Module) -> None:
    """Fill modules from a file of `save_state`."""
    states = torch.load(path, weights_only=True)
    for name, module in modules.items():
        module.load_state_dict(states[name])
