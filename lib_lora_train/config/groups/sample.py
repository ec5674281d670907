"""Settings of the sample images generated during training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ..setting import setting


@dataclass(frozen=True)
class SampleSettings:
    """Prompts and how they are drawn."""

    sample_prompts: List[str] = setting(
        [], "Prompts that are generated at each save, one a line.",
        label="Sample prompts", view="main",
        advice="Vary pose, clothes and expression, and leave the trigger word out of one to see what leaks.")
    sample_by: str = setting(
        "worker",
        "Who generates the samples. worker: the training itself. webui: the webui, with sampler, VAE, styles and "
        "hires fix as txt2img is set when you press Train, next to the image without the LoRA.",
        label="Generate samples with", choices=("worker", "webui", "both"), view="main",
        advice="webui shows what you will really get. Training pauses while its images are generated.")
    negative_prompt: str = setting(
        "", "What sample images should not show.",
        label="Negative prompt")
    sample_every_n_epochs: Optional[int] = setting(
        None, "Generates samples every n epochs. Empty means at each save.",
        label="Sample every n epochs", minimum=1, maximum=100000)
    sample_at_first: bool = setting(
        True, "Generates the samples once before training, for comparison.",
        label="Sample before training")
    sample_width: int = setting(
        0, "Width of the samples; 0 is the training size.",
        label="Sample width", unit="px", minimum=0, maximum=4096)
    sample_height: int = setting(
        0, "Height of the samples; 0 is the training size.",
        label="Sample height", unit="px", minimum=0, maximum=4096)
    sample_steps: int = setting(
        20, "Sampling steps.",
        label="Sampling steps", minimum=1, maximum=150)
    cfg_scale: float = setting(
        7.0, "How strictly the prompt is followed.",
        label="CFG scale", minimum=1.0, maximum=30.0)
    sample_seed: int = setting(
        1234, "Seed of the first prompt's image; the same at every save.",
        label="Sample seed", minimum=0, maximum=4294967295)
