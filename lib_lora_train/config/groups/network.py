"""Settings of the network that is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional, Tuple

from ...blocks.lists import read_blocks
from ...blocks.presets import PRESETS
from ..setting import LORA, setting

LIERLA, C3LIER = "LoRA-LierLa", "LoRA-C3Lier"
LOCON, LOHA, LOKR = "LyCORIS-LoCon", "LyCORIS-LoHa", "LyCORIS-LoKR"
IA3, DYLORA = "LyCORIS-(IA)^3", "LyCORIS-DyLoRA"
NETWORK_TYPES = (LIERLA, C3LIER, LOCON, LOHA, LOKR, IA3, DYLORA)
WITH_UP_AND_DOWN = (LIERLA, C3LIER, LOCON, DYLORA)
"""The types that are a product of ``up`` and ``down``, for which dropout and LoRA+ are defined."""

_BLOCK_LISTS = ("17 or 26 numbers, for SDXL 12 or 20, with commas between (BASE is the text encoder, then IN, M00, "
                "OUT)")


@dataclass(frozen=True)
class NetworkSettings:
    """Type and size of the network, and which parts of the model get one."""

    network_type: str = setting(
        LIERLA, "The type of network.",
        label="Network type", choices=NETWORK_TYPES, sd_scripts="network_module", view="main",
        advice="LoRA-LierLa is the plain LoRA and right for characters. LoCon (or C3Lier) trains every block of the"
               " UNet, good for styles. LoHa suits simple characters and styles, and is slow and memory-hungry. "
               "LoKR makes tiny files for simple things. (IA)^3 needs 8 to 10 times the learning rate. LoKR and "
               "(IA)^3 are tied to the model they were trained on. DyLoRA can be cut to a lower rank afterwards and"
               " learns very slowly.")
    network_dim: int = setting(
        32, "Rank: how much the LoRA can hold, and how big its file is.",
        label="Network dim (rank)", minimum=1, maximum=768, view="main",
        advice="4-16 for simple characters, 32-64 for unusual ones, 64-128 for animals and mechs; a quarter to a "
               "half of that on SDXL. The summary below shows the file size.")
    network_alpha: float = setting(
        16.0, "Scales the LoRA by alpha / dim, which slows learning down. 0 means the same as dim.",
        label="Network alpha", minimum=0, maximum=768, view="main",
        advice="Never higher than dim. Between 1 and half of dim with adaptive optimizers.")
    network_weights: Optional[str] = setting(
        None,
        "A LoRA file to continue from; the file itself stays unchanged. Type, rank and alpha come from the file and"
        " override the settings here. Untrained parts are copied unchanged.",
        label="Continue from a LoRA", path=LORA,
        advice="For more steps on the same images at a tenth of the learning rate, or for new images of the same "
               "subject. Train on the checkpoint it was made on.")
    conv_dim: Optional[int] = setting(
        None, "Rank of the 3x3 convolutions. Empty means the same as network_dim.",
        label="Convolution dim", minimum=1, maximum=768,
        advice="Not for LoRA-LierLa and (IA)^3, which have none. Keep it low, 1 to 32: convolutions carry style and"
               " make the file grow quickly.")
    conv_alpha: Optional[float] = setting(
        None,
        "Alpha of the 3x3 convolutions. Empty means the same share of its dim as network_alpha; 0 means the same as"
        " conv_dim.",
        label="Convolution alpha", minimum=0, maximum=768,
        advice="Never higher than conv_dim.")
    lokr_factor: int = setting(
        -1, "LoKR: how the weight is split; the lower, the bigger the file. -1 splits as evenly as possible.",
        label="LoKR factor", minimum=-1, maximum=64, sd_scripts="factor",
        advice="8 is a middle way. At 2 it learns like LoRA-LierLa, with an even bigger file.")
    decompose_both: bool = setting(
        False, "LoKR: splits the small factor into two matrices as well.",
        label="LoKR: decompose both",
        advice="Even smaller files; only matters with a low dim and an even split.")
    dylora_unit: int = setting(
        4, "DyLoRA: ranks are trained in steps of this size.",
        label="DyLoRA unit", minimum=1, maximum=768, sd_scripts="unit",
        advice="Must divide the dims. The lower, the finer it can be cut, and the slower it learns.")
    dora_wd: bool = setting(
        False, "DoRA: trains the magnitude of each weight separately from its direction.",
        label="DoRA",
        advice="No better than a plain LoRA in the one controlled benchmark, at twice the time. Not for (IA)^3 and "
               "DyLoRA.")
    rs_lora: bool = setting(
        False, "rs-LoRA: scales by alpha / sqrt(dim), so that high dims learn as fast as low ones.",
        label="rs-LoRA",
        advice="For dims of 64 and up; lower alpha to match.")
    network_dropout: float = setting(
        0.0, "Share of the values inside the LoRA that are zeroed in each step.",
        label="Network dropout", minimum=0.0, maximum=0.95,
        advice="0 to 0.3. Prevents overfitting with few images; needs more steps.")
    rank_dropout: float = setting(
        0.0, "Share of the ranks that are dropped in each step.",
        label="Rank dropout", minimum=0.0, maximum=0.95,
        advice="0.1 to 0.3.")
    module_dropout: float = setting(
        0.0, "Share of the layers that are trained without the LoRA in each step.",
        label="Module dropout", minimum=0.0, maximum=0.95,
        advice="0.1 to 0.3.")
    scale_weight_norms: Optional[float] = setting(
        None, "Max-norm: limits the norm of each layer's change. Empty means no limit.",
        label="Scale weight norms", minimum=0.01, maximum=1000.0,
        advice="1 prevents overfitting and makes LoRAs easy to mix; higher values are looser.")
    loraplus_lr_ratio: Optional[float] = setting(
        None, "LoRA+: the up matrices learn at this multiple of the learning rate. Empty or 1 means the same.",
        label="LoRA+ ratio", minimum=1.0, maximum=100.0, sd_scripts="loraplus_lr_ratio",
        advice="4 to 16, with a lower learning rate. Not with Prodigy, DAdaptAdam and DAdaptLion, which support a "
               "single rate.")
    block_lr_weight: str = setting(
        "", "Learning rate factor of each block: " + _BLOCK_LISTS + ", or the name of a list. 0 means that the block "
        "is neither trained nor saved. Empty means 1 for all. With Prodigy, DAdaptAdam, DAdaptLion and AdaFactor, "
        "which support a single rate, the alpha of the block is scaled instead.",
        label="Block learning rates", sd_scripts="down_lr_weight, mid_lr_weight, up_lr_weight",
        advice="Styles gain from OUT, concepts from IN; OUT alone is a skin on another body. Train on all blocks "
               "first, try block weights, and train again with the list that was best. Lists: "
               + ", ".join(PRESETS) + ".")
    block_dims: str = setting(
        "", "Dim of each block: " + _BLOCK_LISTS + ". 0 means that the block is not trained. Empty means "
        "network_dim for all.",
        label="Block dims")
    block_alphas: str = setting(
        "", "Alpha of each block: " + _BLOCK_LISTS + ". Empty means the same share of its dim as network_alpha.",
        label="Block alphas")
    network_train_unet_only: bool = setting(
        False, "Trains only the UNet and leaves the text encoder unchanged.",
        label="Train UNet only")
    network_train_text_encoder_only: bool = setting(
        False, "Trains only the text encoder and leaves the UNet unchanged.",
        label="Train text encoder only")

    @property
    def alpha(self) -> float:
        """``network_alpha`` with 0 read as ``network_dim``."""
        return self.network_alpha or float(self.network_dim)

    @property
    def block_rates(self) -> Optional[Dict[str, float]]:
        """Learning rate factor of each block; ``None`` if all are the same."""
        return read_blocks(self.block_lr_weight)

    def size_of(self, block: Optional[str], *, spatial: bool) -> Optional[Tuple[int, float]]:
        """Dim and alpha of a layer in ``block``, 3x3 convolution or not; ``None`` if the block is not trained.

        A 3x3 convolution uses conv_dim if it is set. A missing alpha keeps the ratio of network_alpha to network_dim.
        """
        rates, dims, alphas = (read_blocks(text) for text in (self.block_lr_weight, self.block_dims,
                                                              self.block_alphas))
        dim = self.network_dim if dims is None or block is None else int(dims[block])
        if dim == 0 or (rates is not None and block is not None and rates[block] == 0):
            return None
        alpha = self.alpha / self.network_dim * dim
        if alphas is not None and block is not None:
            alpha = alphas[block] or float(dim)
        if spatial:
            conv_dim = self.conv_dim or dim
            alpha = alpha / dim * conv_dim if self.conv_alpha is None else self.conv_alpha or float(conv_dim)
            dim = conv_dim
        return dim, alpha
