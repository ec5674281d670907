"""The model that is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..setting import setting

SDXL_BASES = ("SDXL", "Pony", "Illustrious", "NoobAI", "NoobAI v-pred")
"""The bases that an SDXL checkpoint can be derived from."""


@dataclass(frozen=True)
class BaseSettings:
    """Checkpoint, VAE and how prompts are read."""

    checkpoint: str = setting(
        "", "The checkpoint the LoRA is trained on, in the original layout (.safetensors or .ckpt).",
        view="hidden", sd_scripts="pretrained_model_name_or_path",
        advice="Train on a model that shares much of its ancestry with those you will use: NAI for anime, SD 1.5 "
               "for everything else. A LoRA trained on a mix may look poor elsewhere.")
    vae: Optional[str] = setting(
        None, "A VAE file to use instead of the checkpoint's own.",
        label="VAE", view="hidden")
    sdxl_base: Optional[str] = setting(
        None, "What an SDXL checkpoint was made from. Empty: detected from its file name and metadata.",
        choices=SDXL_BASES, label="Base model", view="hidden",
        advice="Sets the CFG scale of samples, v-prediction and zero terminal SNR where the job leaves them out, and "
               "the learning rates of the presets.")
    clip_skip: int = setting(
        1, "Which layer of the text encoder is used, counted from the end.",
        label="CLIP skip", minimum=1, maximum=12, view="main",
        advice="Use the value you generate with: 2 for NAI and most anime models, 1 for realistic ones. SD 2.x and "
               "SDXL always use the second-to-last layer, as the webui does.")
    max_token_length: int = setting(
        225, "How many tokens of a caption are used: 75, 150 or 225.",
        label="Max token length", minimum=75, maximum=225, choices=(),
        advice="225 fits long tag lists. Longer captions are cut, and the run reports how many.")
    v_parameterization: bool = setting(
        False, "The checkpoint predicts velocity instead of noise.",
        label="v-prediction",
        advice="Only needed for v-prediction models that do not say so themselves: SD 2.x is tested as the webui "
               "tests it, others are recognized by their YAML or a mark in the file.")
