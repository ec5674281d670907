"""What is trained: the LoRA network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional, Tuple

from ...blocks.lists import read_blocks
from ...blocks.presets import PRESETS
from ..setting import setting

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
        LIERLA, "The kind of network.", choices=NETWORK_TYPES, sd_scripts="network_module", label="Kind of network",
        advice="LoRA-LierLa is the plain LoRA and right for characters. LoCon (or C3Lier) trains every block of the "
               "UNet, good for styles. LoHa for simple characters and styles, slow and hungry for memory; LoKR for "
               "tiny files of simple things; (IA)^3 needs 8 to 10 times the rate. LoKR and (IA)^3 hold to the model "
               "they were trained on. DyLoRA can be cut to a lower rank afterwards, and learns very slowly.")
    network_dim: int = setting(
        32, "Rank: how much the LoRA can hold, and how big its file is.", minimum=1, maximum=768, view="main",
        label="Network dim (rank)",
        advice="4-16 for simple characters, 32-64 for unusual ones, 64-128 for animals and mechs. On SDXL a quarter "
               "to a half of that. The plan below counts the size of the file.")
    network_alpha: float = setting(
        16.0, "Brakes learning: the LoRA is scaled by alpha / dim. 0 means the same as dim.", minimum=0, maximum=768,
        view="main", label="Network alpha",
        advice="Never higher than dim. With adaptive optimizers between 1 and half of dim.")
    network_weights: Optional[str] = setting(
        None, "A LoRA file to go on from, which stays as it is. Kind, dim and alpha are the file's, whatever stands "
        "here; parts that are not trained are kept as they are in it.", label="Go on from a LoRA",
        advice="For more steps on the same pictures at a tenth of the rate, or for new pictures of the same thing. "
               "Train on the checkpoint that it was made on.")
    conv_dim: Optional[int] = setting(
        None, "Rank of the 3x3 convolutions. Empty means the same as network_dim.", minimum=1, maximum=768,
        label="Convolution dim",
        advice="Not for LoRA-LierLa and (IA)^3, which have none. Keep it low, 1 to 32: convolutions carry style and "
               "grow the file quickly.")
    conv_alpha: Optional[float] = setting(
        None, "Alpha of the 3x3 convolutions. Empty means the same share of its dim as network_alpha; 0 means the "
        "same as conv_dim.", minimum=0, maximum=768, label="Convolution alpha", advice="Never higher than conv_dim.")
    lokr_factor: int = setting(
        -1, "LoKR: how the weight is split; the lower, the bigger the file. -1 splits as evenly as it can.",
        minimum=-1, maximum=64, sd_scripts="factor", label="LoKR factor",
        advice="8 is a middle way; at 2 it learns like LoRA-LierLa, with a file that is bigger still.")
    decompose_both: bool = setting(
        False, "LoKR: split the small factor into two matrices as well.", label="LoKR: decompose both",
        advice="Smaller files still; only matters with a low dim and an even split.")
    dylora_unit: int = setting(
        4, "DyLoRA: ranks are trained in steps of this many.", minimum=1, maximum=768, sd_scripts="unit",
        label="DyLoRA unit", advice="Has to divide the dims. The lower, the finer it can be cut, and the slower.")
    dora_wd: bool = setting(
        False, "DoRA: train the size of each weight apart from its direction.", label="DoRA",
        advice="In the one controlled benchmark no better than a plain LoRA, at twice the time. Not for "
               "(IA)^3 and DyLoRA.")
    rs_lora: bool = setting(
        False, "rs-LoRA: scale by alpha / sqrt(dim), so that high dims learn no slower than low ones.",
        label="rs-LoRA", advice="For dims of 64 and more; lower alpha to match.")
    network_dropout: float = setting(
        0.0, "Share of the values inside the LoRA that are set to 0 in each step.", minimum=0.0, maximum=0.95,
        label="Dropout", advice="0 to 0.3. Against overbaking with few pictures; more steps are needed.")
    rank_dropout: float = setting(
        0.0, "Share of the ranks that are left out in each step.", minimum=0.0, maximum=0.95, label="Rank dropout",
        advice="0.1 to 0.3.")
    module_dropout: float = setting(
        0.0, "Share of the layers that go without the LoRA in each step.", minimum=0.0, maximum=0.95,
        label="Module dropout", advice="0.1 to 0.3.")
    scale_weight_norms: Optional[float] = setting(
        None, "Max-norm: no layer's change may get a norm above this. Empty means no limit.", minimum=0.01,
        maximum=1000.0, label="Weight norm limit",
        advice="1 keeps a LoRA from burning and easy to mix with others; higher is looser.")
    loraplus_lr_ratio: Optional[float] = setting(
        None, "LoRA+: the up matrices learn at this many times the rate. Empty or 1 means the same.", minimum=1.0,
        maximum=100.0, label="LoRA+ ratio", sd_scripts="loraplus_lr_ratio",
        advice="4 to 16, with a lower rate. Not with Prodigy, DAdaptAdam and DAdaptLion, which know one rate only.")
    block_lr_weight: str = setting(
        "", "Learning rate factor of each block: " + _BLOCK_LISTS + ", or the name of a list. 0 means that the block "
        "is neither trained nor saved. Empty means 1 for all. With Prodigy, DAdaptAdam, DAdaptLion and AdaFactor, "
        "which know one rate, the alpha of the block is scaled instead.",
        sd_scripts="down_lr_weight, mid_lr_weight, up_lr_weight", label="Rate of each block",
        advice="Styles gain from OUT, concepts from IN; OUT alone is a skin on another body. Train on all blocks "
               "first, try block weights, and train again with the list that was best. Lists: "
               + ", ".join(PRESETS) + ".")
    block_dims: str = setting(
        "", "Dim of each block: " + _BLOCK_LISTS + ". 0 means that the block is not trained. Empty means "
        "network_dim for all.", label="Dim of each block")
    block_alphas: str = setting(
        "", "Alpha of each block: " + _BLOCK_LISTS + ". Empty means the same share of its dim as network_alpha.",
        label="Alpha of each block")
    network_train_unet_only: bool = setting(False, "Train only the UNet and leave the text encoder as it is.",
        label="Train only the UNet")
    network_train_text_encoder_only: bool = setting(False, "Train only the text encoder and leave the UNet as it is.",
        label="Train only the text encoder")

    @property
    def alpha(self) -> float:
        """``network_alpha`` with 0 read as ``network_dim``."""
        return self.network_alpha or float(self.network_dim)

    @property
    def block_rates(self) -> Optional[Dict[str, float]]:
        """Learning rate factor by block; ``None`` if all are alike."""
        return read_blocks(self.block_lr_weight)

    def size_of(self, block: Optional[str], *, spatial: bool) -> Optional[Tuple[int, float]]:
        """Dim and alpha of a layer in ``block``, 3x3 convolution or not; ``None`` if the block is not trained.

        A 3x3 convolution has conv_dim where that is given. An alpha that is not given has the same share of its dim
        as network_alpha has of network_dim.
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
