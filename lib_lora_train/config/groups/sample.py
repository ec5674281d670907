"""Sample pictures made while training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ..setting import setting


@dataclass(frozen=True)
class SampleSettings:
    """Prompts and how they are drawn."""

    sample_prompts: List[str] = setting(
        [], "Prompts that are drawn at each save, one a line.", view="main", label="Sample prompts",
        advice="Vary pose, clothes and expression, and leave the activation tag out of one to see what leaks.")
    sample_by: str = setting(
        "worker", "Who draws the prompts. worker: the training itself. webui: the webui, with sampler, VAE, styles and "
        "hires fix as txt2img is set when you press Train, beside the picture without the LoRA.",
        advice="webui shows what you will get. The run stands still for as long as its pictures take.",
        choices=("worker", "webui", "both"), view="main", label="Samples are drawn by")
    negative_prompt: str = setting("", "What the sample pictures should not show.")
    sample_every_n_epochs: Optional[int] = setting(
        None, "Draw samples after every so many epochs; empty means at each save.", minimum=1, maximum=100000,
        label="Draw every n epochs")
    sample_at_first: bool = setting(True, "Draw the prompts once before training, to compare with.",
        label="Draw before training too")
    sample_width: int = setting(0, "Width of the samples; 0 is the training size.", unit="px", minimum=0, maximum=4096,
        label="Width of samples")
    sample_height: int = setting(0, "Height of the samples; 0 is the training size.", unit="px", minimum=0,
                                 maximum=4096, label="Height of samples")
    sample_steps: int = setting(20, "Sampling steps.", minimum=1, maximum=150, label="Sampling steps")
    cfg_scale: float = setting(7.0, "How strictly a prompt is followed.", minimum=1.0, maximum=30.0, label="CFG scale")
    sample_seed: int = setting(1234, "Seed of the first prompt's picture; the same at every save.", minimum=0,
                               maximum=4294967295, label="Seed of samples")
