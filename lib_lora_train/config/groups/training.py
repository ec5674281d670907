"""Settings of training length, precision and memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional

from ..setting import setting


@dataclass(frozen=True)
class TrainingSettings:
    """Length, precision, memory and seed."""

    max_train_epochs: Optional[int] = setting(
        10, "How often the whole set is seen.",
        label="Epochs", section="Schedule", minimum=1, maximum=100000, view="main",
        advice="Enough for about 1000 steps in all; 1500 for a creature the model has never seen.")
    max_train_steps: Optional[int] = setting(
        None, "Stops after this many steps instead of counting epochs.",
        label="Max train steps", section="Schedule", minimum=1, maximum=10000000)
    phases: List[Dict[str, Any]] = setting(
        [], "What follows the first phase, which the other settings describe: a list of training phases, each with a "
        "length in epochs or steps, and the settings that differ from the phase before, by group.",
        label="Training phases", section="Schedule", view="hidden",
        advice="For example 2 more epochs on the best folder at a lower rate: [{name: polish, epochs: 2, optimizer: "
               "{learning_rate: 0.3}, scheduler: {lr_scheduler: cosine}, dataset: {only_folders: [1_best]}}]. See "
               "docs/training.md.")
    first_phase_name: str = setting(
        "", "Name of the first training phase, if there are several.",
        label="Name of the first phase", section="Schedule", view="hidden")
    gradient_accumulation_steps: int = setting(
        1, "Batches that are added up before the weights are updated; works like a larger batch without its memory.",
        label="Gradient accumulation", section="Optimizer", minimum=1, maximum=1024)
    mixed_precision: str = setting(
        "auto", "Number format of the computation. auto: bf16 or fp16 on a GPU that supports it; on a CPU, bf16 if the "
        "processor has it in hardware and a test step agrees with full precision, else off.",
        label="Mixed precision", choices=("auto", "no", "fp16", "bf16"))
    gradient_checkpointing: bool = setting(
        False, "Saves memory by computing parts twice; about 20 to 30 % slower.",
        label="Gradient checkpointing",
        advice="Turn it on when memory runs out.")
    checkpointing_blocks: str = setting(
        "all", "Which UNet blocks are checkpointed: all, or only the outer ones, where images are largest.",
        label="Checkpointed blocks", choices=("all", "outer"),
        advice="With SD 1.x and 2.x, outer saves half as much as all in less time; with SDXL it saves next to "
               "nothing.")
    cache_text_encoder_outputs: bool = setting(
        False, "Encodes each caption once before the first step and unloads the text encoders. Only with "
        "network_train_unet_only, and with captions that stay the same: no shuffling, tag dropout, token warmup or "
        "wildcards.",
        label="Cache text encoder outputs",
        advice="Saves 1.7 GB with SDXL in half precision, and some time in each step.")
    base_weights: str = setting(
        "full",
        "How the frozen weights of UNet and text encoder are stored: full, fp8 (half the memory) or nf4 (about a "
        "quarter). The LoRA itself stays exact.",
        label="Base weights", choices=("full", "fp8", "nf4"), sd_scripts="fp8_base",
        advice="fp8 costs little quality and about a tenth of the speed; nf4 is for the smallest GPUs.")
    weights_on_cpu: int = setting(
        0, "Share of the frozen weights that stays in main memory and is moved to the GPU layer by layer.",
        label="Block swap (CPU offload)", unit="%", minimum=0, maximum=100, sd_scripts="blocks_to_swap",
        advice="The last resort: it works on any GPU, but each step waits for the copies.")
    fused_backward_pass: bool = setting(
        False, "Updates each part of the network as soon as its gradient is there, and frees the gradient at once.",
        label="Fused backward pass",
        advice="Saves as much memory as the LoRA is big. Gradients cannot be accumulated or clipped then.")
    fit_in_gb: Optional[float] = setting(
        None,
        "Uses no more GPU memory than this: the switches above are chosen so that the run fits, and tested before "
        "the first step.",
        label="VRAM limit", unit="GB", minimum=1, maximum=1000, view="main",
        advice="Your GPU's memory, less 0.5 to 1 GB for the screen. Empty: the switches as set.")
    seed: int = setting(
        42, "The same seed and settings give the same LoRA.",
        label="Seed", section="Schedule", minimum=0, maximum=4294967295,
        advice="If nothing else helps, another seed sometimes does.")
    webui_model: str = setting(
        "auto", "Where a run started in the webui gets the model from. lent and auto: it shares the webui's loaded "
        "model, which is kept once in main memory and uploaded to the GPU by whichever of the two needs it; training "
        "pauses while you generate. copy: it copies the loaded model, and both work at once. file: it reads the file.",
        label="The webui's model", choices=("auto", "lent", "copy", "file"),
        advice="copy needs memory for two models. If the model cannot be lent, the file is read, and the run says why.")
    device: str = setting(
        "auto", "Where to train: auto, cuda, cuda:1, mps or cpu.",
        label="Device", view="hidden")
