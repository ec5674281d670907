"""Telling from the names and shapes in a file which family of models it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import CheckpointError

UNET = "model.diffusion_model."
VAE = "first_stage_model."
TEXT = "cond_stage_model.transformer."

Shapes = Mapping[str, tuple[int, ...]]

_USE_SD1 = "Choose an SD 1.x checkpoint, such as SD 1.5 or NAI, in the original layout."
_CROSS_ATTENTION = UNET + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"


@dataclass(frozen=True)
class Family:
    """One family of base models, and what is fixed in it rather than told by the shapes in the file."""

    name: str
    """As it is shown: SD 1.x."""
    unet_heads: int
    """Attention heads of every UNet block."""
    text_head_width: int
    """Channels of one head of the text encoder."""
    latent_scale: float
    """What latents are multiplied with after encoding."""
    model_version: str
    """``ss_base_model_version`` of LoRA files trained on it."""
    architecture: str
    """``modelspec.architecture`` of the base model."""
    webui_version: str
    """``SD1``, ``SD2`` or ``SDXL``, as the webui sorts LoRA files."""


SD1 = Family("SD 1.x", unet_heads=8, text_head_width=64, latent_scale=0.18215, model_version="sd_v1",
             architecture="stable-diffusion-v1", webui_version="SD1")


def tell_family(path: Path, shapes: Shapes) -> Family:
    """The family of the checkpoint ``path`` whose tensors have ``shapes``.

    Raises ``CheckpointError`` that says what the file is instead and what to choose.
    """
    found = _what_it_is_instead(shapes)
    if found:
        raise CheckpointError(f"{path} {found}")
    if _is_sd1(shapes):
        return SD1
    raise CheckpointError(f"{path} is not a checkpoint that is known here: it has {len(shapes)} tensors, such as "
                          f"{min(shapes, default='none')}. {_USE_SD1}")


def is_lora(shapes: Shapes) -> bool:
    """Whether the keys are those of a LoRA or LyCORIS file."""
    marks = (".lora_down.weight", ".lora_up.weight", ".lora_A.weight", ".hada_w1_a", ".lokr_w1", ".lokr_w1_a",
             ".oft_blocks", ".oft_diag", ".lora_mid.weight", ".on_input")
    return any(key.endswith(marks) or key.startswith(("lora_unet_", "lora_te")) for key in shapes)


def is_vae(shapes: Shapes) -> bool:
    """Whether the file is an autoencoder alone, with or without the prefix it has inside a checkpoint."""
    return not any(key.startswith(UNET) for key in shapes) and any(
        key.removeprefix(VAE) == "decoder.norm_out.weight" for key in shapes)


def is_diffusers_vae(shapes: Shapes) -> bool:
    """Whether the file is an autoencoder under diffusers' names, which the webui does not load."""
    return "decoder.conv_norm_out.weight" in shapes


def _is_sd1(shapes: Shapes) -> bool:
    return (_CROSS_ATTENTION in shapes and UNET + "input_blocks.0.0.weight" in shapes
            and any(key.startswith(TEXT) for key in shapes))


def _what_it_is_instead(shapes: Shapes) -> str | None:
    """A predicate for "The file …" if it is anything but SD 1.x, else ``None``. The order matters."""
    for tell in (_other_file, _other_layout, _other_family, _unet_variant):
        found = tell(shapes)
        if found:
            return found
    return None


def _other_file(shapes: Shapes) -> str | None:
    if is_lora(shapes):
        return f"is a LoRA, not a checkpoint. {_USE_SD1}"
    if is_vae(shapes):
        return f"is a VAE alone, not a checkpoint. Choose it as VAE, and as checkpoint {_USE_SD1[7:]}"
    if any(key.startswith("control_model.") for key in shapes) or "input_hint_block.0.weight" in shapes:
        return f"is a ControlNet, not a checkpoint. {_USE_SD1}"
    if "string_to_param" in shapes or "emb_params" in shapes or "clip_l" in shapes:
        return f"is a textual inversion embedding, not a checkpoint. {_USE_SD1}"
    return None


def _other_layout(shapes: Shapes) -> str | None:
    diffusers_unet = any(key.startswith(("down_blocks.", "unet.down_blocks.")) for key in shapes)
    if diffusers_unet and any(".attn2.to_k.weight" in key for key in shapes):
        return ("is a UNet in the diffusers layout. Choose the single file in the original layout, as the webui "
                "loads it.")
    if is_diffusers_vae(shapes):
        return f"is a VAE in the diffusers layout, not a checkpoint. {_USE_SD1}"
    if any(key.startswith("text_model.encoder.") for key in shapes):
        return f"is a text encoder alone, not a checkpoint. {_USE_SD1}"
    return None


def _other_family(shapes: Shapes) -> str | None:
    def has(beginning: str) -> bool:
        return any(key.startswith((beginning, UNET + beginning)) for key in shapes)

    if has("joint_blocks."):
        return f"is an SD3 checkpoint, which cannot be trained here. {_USE_SD1}"
    if has("double_blocks."):
        return f"is a Flux checkpoint, which cannot be trained here. {_USE_SD1}"
    if any(key.startswith("conditioner.embedders.1.") for key in shapes):
        return f"is an SDXL checkpoint, which cannot be trained here yet. {_USE_SD1}"
    if any(key.startswith("conditioner.embedders.0.model.") for key in shapes):
        return f"is an SDXL refiner, which no LoRA is made for. {_USE_SD1}"
    if any(key.startswith("cond_stage_model.model.") for key in shapes):
        return f"is an SD 2.x checkpoint, which cannot be trained here yet. {_USE_SD1}"
    return None


def _unet_variant(shapes: Shapes) -> str | None:
    channels = shapes.get(UNET + "input_blocks.0.0.weight", (0, 4))[1]
    if channels == 9:
        return ("is an inpainting checkpoint (its UNet takes 9 channels), which a LoRA is not trained on. Choose the "
                "plain checkpoint it was made from; the LoRA then works on both.")
    if channels == 8:
        return ("is an InstructPix2Pix checkpoint (its UNet takes 8 channels), which a LoRA is not trained on. "
                "Choose the plain checkpoint it was made from.")
    if channels != 4:
        return f"has a UNet that takes {channels} channels, where SD 1.x takes 4. {_USE_SD1}"
    if any(key.startswith(UNET) for key in shapes) and not any(key.startswith(TEXT) for key in shapes):
        return ("has a UNet but no text encoder. Choose the whole checkpoint, or merge the UNet into one in the "
                "webui's Checkpoint Merger tab.")
    return None
