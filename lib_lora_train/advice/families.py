"""The table of usual training values per family: size, ranks, rates, tags. The source of presets and advice.

Sources, by base:

- SD 1.x and 2.x: 1e-4 for the UNet, 5e-5 for the text encoder, the usual values since 2023.
- SDXL: kohya-ss/sd-scripts, docs/sdxl_train_network.md: 1e-4 for the UNet, 1e-5 for both text encoders.
- Pony, Illustrious, NoobAI: hollowstrawberry/kohya-colab, Lora_Trainer_XL.ipynb, which trains on all three at 3e-4 and
  6e-5; civitai.com/articles/9148 has 3e-4 and 3e-5 for characters on Illustrious.
- Score tags and CLIP skip 2 of Pony: the model's page at civitai.com/models/257749. Quality tags and CFG of NoobAI: its
  README at huggingface.co/Laxhar/noobai-XL-1.0. CLIP skip 2 for Illustrious: civitai.com/models/850658.
- Ranks of SDXL: rank 16, 24 or 32 holds what 64 holds on SD 1.5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..config.groups.base import SDXL_BASES


@dataclass(frozen=True)
class FamilyAdvice:
    """Usual values for one family, or for one base within SDXL.

    ``resolution`` is in pixels. ``wider`` means that a rank holds more than on SD 1.x, as with SDXL. The rates are for
    AdamW with an alpha of half the rank. ``notes`` are sentences for the form.
    """

    name: str
    resolution: int
    wider: bool = False
    unet_lr: float = 1e-4
    text_encoder_lr: float = 5e-5
    cfg_scale: float = 7.0
    velocity: bool = False
    """Whether the base uses v-prediction with zero terminal SNR, even if its file is not marked as such."""
    notes: tuple[str, ...] = ()

    def rank(self, on_sd1: int) -> int:
        """The rank with the capacity that ``on_sd1`` has on SD 1.x; a multiple of 4 where it differs."""
        return max(4, 4 * round(on_sd1 * 3 / 32)) if self.wider else on_sd1

    def ranks(self, lowest: int, highest: int) -> tuple[int, int]:
        """A range of SD 1.x ranks converted to this family: 64 is 16 to 32 on SDXL."""
        return (max(4, lowest // 4), max(4, highest // 2)) if self.wider else (lowest, highest)


_CLIP_SKIP = "CLIP skip needs no setting: SDXL always uses the second-to-last layer (CLIP skip 2)."

SD1 = FamilyAdvice("SD 1.x", 512)
SD2 = FamilyAdvice("SD 2.x", 512)
SD2_V = FamilyAdvice("SD 2.x 768-v", 768)
SDXL = FamilyAdvice("SDXL", 1024, wider=True, text_encoder_lr=1e-5)
SSD = replace(SDXL, name="SSD-1B")
PONY = replace(SDXL, name="Pony", unet_lr=3e-4, text_encoder_lr=6e-5, notes=(
    "Pony: begin sample prompts with score_9, score_8_up, score_7_up.", _CLIP_SKIP))
ILLUSTRIOUS = replace(SDXL, name="Illustrious", unet_lr=3e-4, text_encoder_lr=6e-5, notes=(
    "Illustrious: caption with Danbooru tags, and begin sample prompts with masterpiece, best quality.", _CLIP_SKIP))
NOOBAI = replace(ILLUSTRIOUS, name="NoobAI", cfg_scale=5.0, notes=(
    "NoobAI: caption with Danbooru or e621 tags, and begin sample prompts with masterpiece, best quality, newest, "
    "absurdres, highres. A CFG scale of 5 is usual.", _CLIP_SKIP))
NOOBAI_V = replace(NOOBAI, name="NoobAI v-pred", velocity=True)

FAMILIES: dict[str, FamilyAdvice] = {one.name: one for one in (
    SD1, SD2, SD2_V, SDXL, SSD, PONY, ILLUSTRIOUS, NOOBAI, NOOBAI_V)}
"""By family or base name."""

_NAMED = ((NOOBAI, "noob"), (PONY, "pony"), (ILLUSTRIOUS, "illustrious"))
_NAME_KEYS = ("modelspec.title", "ss_output_name", "ss_sd_model_name")
_VELOCITY = re.compile(r"v[-_ ]?pred", re.IGNORECASE)


def advice_for(family: str, base: str = "") -> FamilyAdvice:
    """The row for a family named as in ``models.family``, or for ``base`` within SDXL; SD 1.x if neither is known."""
    if family == SDXL.name and base in SDXL_BASES:
        return FAMILIES[base]
    return FAMILIES.get(family, SD1)


def detected_base(family: str, file_name: str, metadata: Mapping[str, str]) -> str:
    """The base of an SDXL checkpoint, from its file name or metadata; empty if uncertain.

    NoobAI was trained from Illustrious, so a name with both is NoobAI; Pony with another one is a mix.
    """
    if family != SDXL.name:
        return ""
    for name in (file_name, *(metadata.get(key, "") for key in _NAME_KEYS)):
        found = [base.name for base, word in _NAMED if word in name.lower()]
        if found and not (PONY.name in found and len(found) > 1):
            return found[0]
        if found:
            return ""
    return ""


def named_velocity(base: str, file_name: str) -> bool:
    """Whether the name of a NoobAI checkpoint says that it is a v-prediction model."""
    return base == NOOBAI.name and bool(_VELOCITY.search(file_name))
