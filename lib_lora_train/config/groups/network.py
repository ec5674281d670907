"""What is trained: the LoRA network."""

from __future__ import annotations

from dataclasses import dataclass

from ..setting import setting

NETWORK_TYPES = ("LoRA-LierLa",)


@dataclass(frozen=True)
class NetworkSettings:
    """Type and size of the network, and which parts of the model get one."""

    network_type: str = setting(
        "LoRA-LierLa", "The kind of network.", choices=NETWORK_TYPES, sd_scripts="network_module",
        advice="LoRA-LierLa is the plain LoRA and right for characters.", label="Kind of network")
    network_dim: int = setting(
        32, "Rank: how much the LoRA can hold, and how big its file is.", minimum=1, maximum=768, view="main",
        label="Network dim (rank)",
        advice="4-16 for simple characters, 32-64 for unusual ones, 64-128 for animals and mechs. "
               "SD 1.x files are about 1.3 MB for each.")
    network_alpha: float = setting(
        16.0, "Brakes learning: the LoRA is scaled by alpha / dim. 0 means the same as dim.", minimum=0, maximum=768,
        view="main", label="Network alpha",
        advice="Never higher than dim. With adaptive optimizers between 1 and half of dim.")
    network_train_unet_only: bool = setting(False, "Train only the UNet and leave the text encoder as it is.",
        label="Train only the UNet")
    network_train_text_encoder_only: bool = setting(False, "Train only the text encoder and leave the UNet as it is.",
        label="Train only the text encoder")

    @property
    def alpha(self) -> float:
        """``network_alpha`` with 0 read as ``network_dim``."""
        return self.network_alpha or float(self.network_dim)
