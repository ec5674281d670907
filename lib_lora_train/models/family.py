"""Detects the model family of a file from its tensor names and shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import CheckpointError

UNET = "model.diffusion_model."
VAE = "first_stage_model."
TEXT = "cond_stage_model.transformer."

BEGIN_TOKEN = 49406
END_TOKEN = 49407

Shapes = Mapping[str, tuple[int, ...]]

_USE_ANOTHER = "Choose an SD 1.x, SD 2.x or SDXL checkpoint, such as SD 1.5 or NAI, in the original layout."
_CHECKPOINT_MARKS = (UNET, "joint_blocks.", "double_blocks.", "transformer_blocks.", "unet.")
_CROSS_ATTENTION = "transformer_blocks.0.attn2.to_k.weight"


@dataclass(frozen=True)
class TextEncoderKind:
    """One text encoder of a family: its key prefix, and what its shapes do not show."""

    prefix: str
    """Prefix of its keys in a checkpoint."""
    open_clip: bool
    """Whether it uses OpenCLIP's layout, with exact GELU, rather than transformers' with quick GELU."""
    padding: int
    """The token that fills a window after the end token."""
    drops_last_layer: bool = False
    """Whether the last layer in the file is never used, so that it is not built."""
    pooled: bool = False
    """Whether the UNet also takes its projected output at the end token."""
    head_width: int = 64
    """Channels per attention head."""


@dataclass(frozen=True)
class Family:
    """One family of base models, and its constants that the shapes in the file do not show."""

    name: str
    """Display name: SD 1.x."""
    unet_heads: int | None
    """Attention heads of every UNet block; ``None`` if heads have 64 channels each."""
    text_encoders: tuple[TextEncoderKind, ...]
    latent_scale: float
    """The factor on latents after encoding."""
    model_version: str
    """``ss_base_model_version`` of LoRA files trained on it."""
    architecture: str
    """``modelspec.architecture`` of the base model."""
    webui_version: str
    """``SD1``, ``SD2`` or ``SDXL``, the webui's classification of LoRA files."""
    resolution: int
    """Side in pixels of the images it was trained on."""
    follows_clip_skip: bool = False
    """Whether the webui uses another layer with CLIP skip; other families have a fixed one."""

    @property
    def has_size_conditioning(self) -> bool:
        """Whether the UNet is conditioned on image size and crop (Podell et al. 2023, section 2.2)."""
        return len(self.text_encoders) == 2


SD1 = Family("SD 1.x", unet_heads=8, text_encoders=(TextEncoderKind(TEXT, open_clip=False, padding=END_TOKEN),),
             latent_scale=0.18215, model_version="sd_v1", architecture="stable-diffusion-v1", webui_version="SD1",
             resolution=512, follows_clip_skip=True)
SD2 = Family("SD 2.x", unet_heads=None, text_encoders=(
                 TextEncoderKind("cond_stage_model.model.", open_clip=True, padding=0, drops_last_layer=True),),
             latent_scale=0.18215, model_version="sd_v2", architecture="stable-diffusion-v2-512", webui_version="SD2",
             resolution=512)
SD2_V = replace(SD2, name="SD 2.x 768-v", model_version="sd_v2_v", architecture="stable-diffusion-v2-768-v",
                resolution=768)
SDXL = Family("SDXL", unet_heads=None, text_encoders=(
                  TextEncoderKind("conditioner.embedders.0.transformer.", open_clip=False, padding=END_TOKEN),
                  TextEncoderKind("conditioner.embedders.1.model.", open_clip=True, padding=0, pooled=True)),
              latent_scale=0.13025, model_version="sdxl_base_v1-0", architecture="stable-diffusion-xl-v1-base",
              webui_version="SDXL", resolution=1024)
SSD = replace(SDXL, name="SSD-1B", model_version="sdxl_ssd-1b", architecture="segmind-ssd-1b")


def detect_family(path: Path, shapes: Shapes) -> Family:
    """The family of the checkpoint ``path`` with tensors of ``shapes``; does not distinguish SD 2.x from its 768-v.

    Raises ``CheckpointError`` that says what the file is instead and what to choose.
    """
    found = _what_it_is_instead(shapes)
    if found:
        raise CheckpointError(f"{path} {found}")
    family = _family_by_text_encoder(shapes)
    if family and _has_cross_attention(shapes) and UNET + "input_blocks.0.0.weight" in shapes:
        return family
    raise CheckpointError(f"{path} is not a checkpoint that is known here: it has {len(shapes)} tensors, such as "
                          f"{min(shapes, default='none')}. {_USE_ANOTHER}")


def is_lora(shapes: Shapes) -> bool:
    """Whether the keys are those of a LoRA or LyCORIS file."""
    marks = (".lora_down.weight", ".lora_up.weight", ".lora_A.weight", ".hada_w1_a", ".lokr_w1", ".lokr_w1_a",
             ".oft_blocks", ".oft_diag", ".lora_mid.weight", ".on_input")
    return any(key.endswith(marks) or key.startswith(("lora_unet_", "lora_te")) for key in shapes)


def is_vae(shapes: Shapes) -> bool:
    """Whether the file is a standalone autoencoder, with or without the prefix it has in a checkpoint."""
    return not any(key.startswith(UNET) for key in shapes) and any(
        key.removeprefix(VAE) == "decoder.norm_out.weight" for key in shapes)


def is_diffusers_vae(shapes: Shapes) -> bool:
    """Whether the file is an autoencoder in diffusers' naming, which the webui does not load."""
    return "decoder.conv_norm_out.weight" in shapes


def what_it_is(shapes: Shapes) -> str:
    """The kind of model file with tensors of ``shapes``, such as ``a VAE``; empty if unknown."""
    if is_vae(shapes) or is_diffusers_vae(shapes):
        return "a VAE"
    if _family_by_text_encoder(shapes) or any(_has(shapes, mark) for mark in _CHECKPOINT_MARKS):
        return "a checkpoint"
    if shapes and all(key.partition(".")[0].isdecimal() for key in shapes):
        return "a hypernetwork"
    found = _other_file(shapes) or _other_layout(shapes) or ""
    named = re.match(r"is (an? [^,.]+?)(?: alone)?[,.]", found)
    return named[1] if named else ""


def _family_by_text_encoder(shapes: Shapes) -> Family | None:
    if _has(shapes, SDXL.text_encoders[1].prefix):
        # the webui's rule: SSD-1B was cut out of SDXL, beginning with the middle block
        return SDXL if f"{UNET}middle_block.1.transformer_blocks.0.attn1.to_q.weight" in shapes else SSD
    if _has(shapes, SD2.text_encoders[0].prefix):
        return SD2
    return SD1 if _has(shapes, TEXT) else None


def _has(shapes: Shapes, prefix: str) -> bool:
    return any(key.startswith(prefix) for key in shapes)


def _has_cross_attention(shapes: Shapes) -> bool:
    return any(key.startswith(UNET + "input_blocks.") and key.endswith(_CROSS_ATTENTION) for key in shapes)


def _what_it_is_instead(shapes: Shapes) -> str | None:
    """A predicate for "The file …" if it is none of the trainable families, else ``None``.

    The order matters.
    """
    for detect in (_other_file, _other_layout, _other_family, _unet_variant):
        found = detect(shapes)
        if found:
            return found
    return None


def _other_file(shapes: Shapes) -> str | None:
    if is_lora(shapes):
        return f"is a LoRA, not a checkpoint. {_USE_ANOTHER}"
    if is_vae(shapes):
        return f"is a VAE alone, not a checkpoint. Choose it as VAE, and as checkpoint {_USE_ANOTHER[7:]}"
    if any(key.startswith("control_model.") for key in shapes) or "input_hint_block.0.weight" in shapes:
        return f"is a ControlNet, not a checkpoint. {_USE_ANOTHER}"
    if "string_to_param" in shapes or "emb_params" in shapes or "clip_l" in shapes:
        return f"is a textual inversion embedding, not a checkpoint. {_USE_ANOTHER}"
    return None


def _other_layout(shapes: Shapes) -> str | None:
    diffusers_unet = any(key.startswith(("down_blocks.", "unet.down_blocks.")) for key in shapes)
    if diffusers_unet and any(".attn2.to_k.weight" in key for key in shapes):
        return ("is a UNet in the diffusers layout. Choose the single file in the original layout, as the webui "
                "loads it.")
    if is_diffusers_vae(shapes):
        return f"is a VAE in the diffusers layout, not a checkpoint. {_USE_ANOTHER}"
    if any(key.startswith("text_model.encoder.") for key in shapes):
        return f"is a text encoder alone, not a checkpoint. {_USE_ANOTHER}"
    return None


def _other_family(shapes: Shapes) -> str | None:
    def has(beginning: str) -> bool:
        return _has(shapes, beginning) or _has(shapes, UNET + beginning)

    if has("joint_blocks."):
        return f"is an SD3 checkpoint, which cannot be trained here. {_USE_ANOTHER}"
    if has("double_blocks."):
        return f"is a Flux checkpoint, which cannot be trained here. {_USE_ANOTHER}"
    if not _has(shapes, SDXL.text_encoders[1].prefix) and _has(shapes, "conditioner.embedders.0.model."):
        return f"is an SDXL refiner, which no LoRA is made for. {_USE_ANOTHER}"
    if _has(shapes, "depth_model."):
        return "is an SD 2.x checkpoint with depth, which a LoRA is not trained on. Choose plain SD 2.x."
    if _has(shapes, "embedder.model."):
        return "is an SD 2.x unCLIP checkpoint, which a LoRA is not trained on. Choose plain SD 2.x."
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
        return f"has a UNet that takes {channels} channels, where Stable Diffusion takes 4. {_USE_ANOTHER}"
    family = _family_by_text_encoder(shapes)
    if family is not None:
        missing = [kind.prefix for kind in family.text_encoders if not _has(shapes, kind.prefix)]
        return None if not missing else (f"is an {family.name} checkpoint without one of its text encoders: nothing "
                                         f"begins with {missing[0]}. Choose the whole checkpoint.")
    if _has(shapes, UNET):
        return ("has a UNet but no text encoder. Choose the whole checkpoint, or merge the UNet into one in the "
                "webui's Checkpoint Merger tab.")
    return None
