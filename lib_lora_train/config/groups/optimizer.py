"""Settings of the optimizer and the learning rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ..optimizer_facts import OPTIMIZERS
from ..setting import setting


@dataclass(frozen=True)
class OptimizerSettings:
    """Optimizer and learning rates."""

    optimizer_type: str = setting(
        "Prodigy", "The optimizer.",
        label="Optimizer", choices=tuple(OPTIMIZERS), view="main",
        advice="Prodigy finds the learning rate by itself: leave the rates at 1. AdamW8bit uses the rates you set "
               "(1e-4 for the UNet and 5e-5 for the text encoder are a good start) and needs the least memory of "
               "the well-tested ones. AdaFactor has a schedule of its own. ProdigyPlusScheduleFree finds the rate with "
               "a third of the states that Prodigy keeps; set max_grad_norm to 0 with it.")
    learning_rate: float = setting(
        1.0, "Learning rate wherever the UNet or text encoder has none of its own.",
        label="Learning rate", minimum=0.0, maximum=100.0, view="main",
        advice="1 with Prodigy, 0.0001 with AdamW.")
    unet_lr: Optional[float] = setting(
        None, "Learning rate of the UNet.",
        label="UNet learning rate", minimum=0.0, maximum=100.0,
        advice="The most sensitive part: too high, and images turn into noise. Usually 0.0001 with AdamW.")
    text_encoder_lr: Optional[float] = setting(
        None, "Learning rate of the text encoder.",
        label="Text encoder learning rate", minimum=0.0, maximum=100.0,
        advice="Lower than the UNet's, usually 0.00005 with AdamW. Lower it when unwanted things appear; if it is "
               "too low, the trigger word needs extra weight in prompts. Prodigy, DAdaptAdam and DAdaptLion support"
               " a single rate: the UNet's is used for both, unless one is 0.")
    text_encoder_lr2: Optional[float] = setting(
        None, "Learning rate of SDXL's second text encoder. Empty means the same as the first's.",
        label="Second text encoder learning rate", minimum=0.0, maximum=100.0, sd_scripts="text_encoder_lr",
        advice="Only SDXL has two; the second is the larger one.")
    d_coef: Optional[float] = setting(
        None,
        "Prodigy and ProdigyPlusScheduleFree multiply the learning rate they find by this. Empty: 8 with (IA)^3, 4 "
        "with LoKR or a dim of 8 or less, else 2; ProdigyPlusScheduleFree: half of that.",
        label="D coefficient (d_coef)", minimum=0.1, maximum=10.0, sd_scripts="optimizer_args",
        advice="0.5 to 2 for most networks; up to 10 for (IA)^3, LoKR and dims of 8 or less, which learn too little"
               " otherwise. ProdigyPlusScheduleFree needs 1 or more.")
    optimizer_args: List[str] = setting(
        [], "Additional optimizer arguments, each as name=value.",
        label="Optimizer args",
        advice="The recommended arguments are already the defaults; an example is \"weight_decay=0.1\".")
    max_grad_norm: float = setting(
        1.0, "Clips gradients to this norm; 0 turns clipping off.",
        label="Max grad norm", minimum=0.0, maximum=1000.0)

    @property
    def unet_rate(self) -> float:
        """The UNet's learning rate."""
        return self.learning_rate if self.unet_lr is None else self.unet_lr

    @property
    def text_encoder_rate(self) -> float:
        """The text encoder's learning rate."""
        return self.learning_rate if self.text_encoder_lr is None else self.text_encoder_lr

    @property
    def second_text_encoder_rate(self) -> float:
        """The learning rate of SDXL's second text encoder."""
        return self.text_encoder_rate if self.text_encoder_lr2 is None else self.text_encoder_lr2
