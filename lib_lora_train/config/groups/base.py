"""The model that is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..setting import setting


@dataclass(frozen=True)
class BaseSettings:
    """Checkpoint, VAE and how prompts are read."""

    checkpoint: str = setting(
        "", "The checkpoint file the LoRA is trained on, in the original layout (.safetensors or .ckpt).",
        advice="Train on a model with much shared ancestry with the ones you will use: NAI for anything drawn, "
               "SD 1.5 for the rest. Trained on a mix, a LoRA may look poor elsewhere.",
        view="hidden", sd_scripts="pretrained_model_name_or_path")
    vae: Optional[str] = setting(
        None, "A VAE file that is used in place of the one in the checkpoint.", view="hidden", label="VAE")
    clip_skip: int = setting(
        1, "Which layer of the text encoder is read, counted from the end.", minimum=1, maximum=12,
        advice="The same value you generate with: 2 for NAI and most anime models, 1 for realistic ones. SD 2.x and "
               "SDXL always read the last layer but one, as the webui does.",
        label="CLIP skip", view="main")
    max_token_length: int = setting(
        225, "How many tokens of a caption are read: 75, 150 or 225.", choices=(), minimum=75, maximum=225,
        advice="225 fits long tag lists; longer captions are cut and the cut is reported.", label="Tokens per caption")
    v_parameterization: bool = setting(
        False, "The checkpoint predicts velocity instead of noise.", label="v-prediction",
        advice="Only for v-prediction models that do not say so: SD 2.x is told by a test as in the webui, others by "
               "their YAML or a mark in the file.")
