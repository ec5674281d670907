"""How long and in what precision is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..setting import setting


@dataclass(frozen=True)
class TrainingSettings:
    """Length, precision, memory and seed."""

    max_train_epochs: Optional[int] = setting(
        10, "How often the whole set is seen.", minimum=1, maximum=100000, view="main", label="Epochs",
        advice="Enough for about 1000 steps in all; 1500 for a creature the model has never seen.")
    max_train_steps: Optional[int] = setting(
        None, "Stop after this many steps instead of counting epochs.", minimum=1, maximum=10000000,
        label="Steps (instead of epochs)")
    gradient_accumulation_steps: int = setting(
        1, "Batches that are added up before the weights move; works like a bigger batch without its memory.",
        minimum=1, maximum=1024, label="Gradient accumulation")
    mixed_precision: str = setting(
        "auto", "Number format of the computation. auto: bf16 or fp16 on a GPU that has it, off on the CPU.",
        choices=("auto", "no", "fp16", "bf16"))
    gradient_checkpointing: bool = setting(
        False, "Use less memory by computing parts twice; about 20 to 30 % slower.",
        advice="Switch it on when memory runs out.")
    checkpointing_blocks: str = setting(
        "all", "Which blocks of the UNet are computed twice: all, or only the outer ones, where pictures are largest.",
        choices=("all", "outer"), label="Blocks computed twice",
        advice="With SD 1.x and 2.x outer saves half as much as all, in less time; with SDXL next to nothing.")
    cache_text_encoder_outputs: bool = setting(
        False, "Encode each caption once before the first step and let the text encoders go. Only with "
               "network_train_unet_only, and with captions that stay the same: no shuffling, tag dropout, tag warmup "
               "or wildcards.", label="Encode captions once",
        advice="Saves 1.7 GB with SDXL in half precision, and some time in each step.")
    base_weights: str = setting(
        "full", "How the frozen weights of UNet and text encoder are kept: full, fp8 (half the memory) or nf4 (about a "
        "quarter). The LoRA itself stays exact.", choices=("full", "fp8", "nf4"), sd_scripts="fp8_base",
        advice="fp8 costs little quality and about a tenth of the speed; nf4 is for the smallest cards.")
    weights_on_cpu: int = setting(
        0, "Share of the frozen weights that waits in main memory and is brought to the GPU layer by layer.",
        unit="%", minimum=0, maximum=100, label="Weights in main memory", sd_scripts="blocks_to_swap",
        advice="The last resort: it works on any card, but each step waits for the copies.")
    fused_backward_pass: bool = setting(
        False, "Let each part of the network learn as soon as its gradient is there, and free the gradient at once.",
        label="Free gradients at once",
        advice="Saves as much as the LoRA is big; gradients cannot be added up or limited then.")
    fit_in_gb: Optional[float] = setting(
        None, "Use no more GPU memory than this: the switches above are chosen so that the run fits, and tried before "
        "the first step.", unit="GB", minimum=1, maximum=1000, view="main", label="Fits in",
        advice="What your card has, less 0.5 to 1 GB for the screen. Empty: as set below.")
    seed: int = setting(42, "The same seed and settings give the same LoRA.", minimum=0, maximum=4294967295,
                        advice="If nothing else helps, another seed sometimes does.")
    webui_model: str = setting(
        "auto", "How a run that the webui starts gets the model. lent: it trains on the webui's own copy, which is in "
        "memory once, and waits while you make a picture. copy: it takes a copy of that, and both work at once. file: "
        "it reads the file, and the webui's model leaves the GPU until the run ends. auto: lent where that is tried, "
        "on the CPU, else file.", choices=("auto", "lent", "copy", "file"), label="The webui's model",
        advice="copy needs the memory for two models. Where lending cannot be done the file is read, and the run says "
               "why, as it does with base_weights, weights_on_cpu and fit_in_gb.")
    device: str = setting("auto", "Where to train: auto, cuda, cuda:1, mps or cpu.", view="hidden")
