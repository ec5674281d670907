"""How the weights are moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ..optimizer_facts import OPTIMIZERS
from ..setting import setting


@dataclass(frozen=True)
class OptimizerSettings:
    """Optimizer and learning rates."""

    optimizer_type: str = setting(
        "Prodigy", "The optimizer.", choices=tuple(OPTIMIZERS), view="main", label="Optimizer",
        advice="Prodigy finds the learning rate by itself: leave the rates at 1. AdamW8bit uses the rates you give, "
               "1e-4 for the UNet and 5e-5 for the text encoder are a good start, and needs the least memory of the "
               "well tested ones. AdaFactor has a schedule of its own.")
    learning_rate: float = setting(
        1.0, "Learning rate, where no own rate is given for UNet or text encoder.", minimum=0.0, maximum=100.0,
        view="main", advice="1 with Prodigy, 0.0001 with AdamW.")
    unet_lr: Optional[float] = setting(
        None, "Learning rate of the UNet.", minimum=0.0, maximum=100.0, label="UNet learning rate",
        advice="The most sensitive part: too high and the pictures turn to noise. Usually 0.0001 with AdamW.")
    text_encoder_lr: Optional[float] = setting(
        None, "Learning rate of the text encoder.", minimum=0.0, maximum=100.0, label="Text encoder learning rate",
        advice="Lower than the UNet's, usually 0.00005 with AdamW. Lower it when unwanted things appear; too "
               "low, and the trigger word needs weight in prompts. Prodigy, "
               "DAdaptAdam and DAdaptLion know only one rate: the UNet's is used for both, unless one is 0.")
    text_encoder_lr2: Optional[float] = setting(
        None, "Learning rate of SDXL's second text encoder; empty means the same as the first's.", minimum=0.0,
        maximum=100.0, label="Second text encoder's learning rate", sd_scripts="text_encoder_lr",
        advice="Only SDXL has two; the second is the big one.")
    d_coef: Optional[float] = setting(
        None, "Prodigy multiplies the rate that it finds by this. Empty: 8 with (IA)^3, 4 with LoKR or a dim of 8 or "
              "less, else 2.", minimum=0.1, maximum=10.0, label="D coefficient (d_coef)", sd_scripts="optimizer_args",
        advice="0.5 to 2 for most networks; up to 10 for (IA)^3, LoKR and dims of 8 or less, which learn too little "
               "otherwise.")
    optimizer_args: List[str] = setting(
        [], "Further arguments of the optimizer, each as name=value.",
        advice='The recommended arguments are already the defaults; for example "weight_decay=0.1".',
        label="Further optimizer arguments")
    max_grad_norm: float = setting(
        1.0, "Gradients are scaled down to this norm; 0 switches that off.", minimum=0.0, maximum=1000.0,
        label="Gradient norm limit")

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
