"""Names of LoRA modules in files: the diffusers and transformers path, joined by underscores."""

from __future__ import annotations

from collections.abc import Iterable

UNET_PREFIX = "lora_unet"
TEXT_ENCODER_PREFIX = "lora_te"


def lora_key(prefix: str, module_path: str) -> str:
    """``lora_unet`` and ``mid_block.attentions.0.proj_in`` become ``lora_unet_mid_block_attentions_0_proj_in``."""
    return f"{prefix}_{module_path.replace('.', '_')}"


def key_table(prefix: str, module_paths: Iterable[str]) -> dict[str, str]:
    """LoRA key of each module path; needed to go back, since an underscore may have been a dot or not."""
    return {lora_key(prefix, path): path for path in module_paths}


def is_unet_key(key: str) -> bool:
    """Whether a LoRA key belongs to the UNet rather than to a text encoder."""
    return key.startswith(UNET_PREFIX + "_")
