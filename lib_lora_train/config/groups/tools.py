"""Settings of the tools: extract, merge, mix, resize, inspect. They have no groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Optional

from ..setting import CHECKPOINT_FOLDER, LORA, LORA_FOLDER, setting
from .network import C3LIER, LIERLA, LOCON

_SAME_FOLDER = "The folder for the new file; empty for the folder of {}."


def _rank(help: str) -> Any:
    return setting(None, help, label="Rank (dim)", minimum=1, maximum=8192, view="main")


def _conv_rank(help: str) -> Any:
    return setting(None, help, label="Rank of 3x3 convolutions", minimum=1, maximum=8192)


def _ratio() -> Any:
    return setting(None, "Keeps the singular values above the largest divided by this.",
                   label="Keep by ratio (sv_ratio)", minimum=1, maximum=1e6,
                   advice="2 to 10 is usual. The rank is then the most that a layer has.")


def _fro() -> Any:
    return setting(None, "Keeps this share of the Frobenius norm of each layer.", label="Keep by norm (sv_fro)",
                   minimum=0, maximum=1, advice="0.9 to 0.99 is usual. The rank is then the most that a layer has.")


def _cumulative() -> Any:
    return setting(None, "Keeps this share of the sum of singular values of each layer.",
                   label="Keep by sum (sv_cumulative)", minimum=0, maximum=1,
                   advice="0.8 to 0.95 is usual. The rank is then the most that a layer has.")


def _precision() -> Any:
    return setting("fp16", "Number format of the saved file.", label="Save precision",
                   choices=("fp16", "bf16", "float"))


def _only_curve() -> Any:
    return setting(False, "Only calculates size and error for each rank, and saves nothing.", label="Only the curve")


def _device() -> Any:
    return setting("auto", "Where the calculation runs: auto, cpu or a GPU such as cuda.", label="Device",
                   advice="auto is the GPU if there is one.")


def _checkpoint_for_change() -> Any:
    return setting("", "The checkpoint that the LoRA was trained on.", label="Checkpoint",
                   advice="Only (IA)^3, DoRA, GLoRA and OFT need it: what they change depends on the base weights.")


def _strengths() -> Any:
    return setting([], "For each LoRA, what follows its name in a prompt: 0.8, 0.8:0.6 (text encoder and UNet), "
                       "1:lbw=OUTALL. Empty for 1.", label="Strengths", view="main")


def _block_presets() -> Any:
    return setting("", "A file with block weight presets; empty for those that come with Train LoRA.",
                   label="Block presets", view="hidden")


@dataclass(frozen=True)
class ExtractJob:
    """The difference of two checkpoints as a LoRA."""

    org: str = setting("", "The base checkpoint, which the LoRA will be added to.", label="Base checkpoint",
                       view="main")
    tuned: str = setting("", "The checkpoint whose difference from the base becomes the LoRA.",
                         label="Tuned checkpoint", view="main")
    network_dim: Optional[int] = _rank("Rank of the LoRA: 64 keeps much of a small fine-tune.")
    conv_dim: Optional[int] = _conv_rank("Rank of 3x3 convolutions; empty leaves them out.")
    network_type: str = setting("", "LoRA-LierLa, LoRA-C3Lier or LyCORIS-LoCon; empty for LierLa, or C3Lier with "
                                    "conv_dim.", label="Network type", choices=("", LIERLA, C3LIER, LOCON))
    sv_ratio: Optional[float] = _ratio()
    sv_fro: Optional[float] = _fro()
    sv_cumulative: Optional[float] = _cumulative()
    clamp_quantile: float = setting(1.0, "Clamps the LoRA's values at this quantile; 1 does not.",
                                    label="Clamp quantile", minimum=0.5, maximum=1,
                                    advice="sd-scripts has 0.99. Clamping makes the LoRA less exact.")
    min_diff: float = setting(0.0001, "A text encoder whose weights differ by no more than this counts as unchanged "
                                      "and is skipped.", label="Minimal difference", minimum=0, maximum=100)
    exact: bool = setting(True, "Calculates every singular value. Off, only as many as the rank needs: three times "
                                "faster on the CPU, nearly as exact.", label="Exact SVD")
    device: str = _device()
    output_name: str = setting("", "Name of the LoRA: the file name without its extension.", label="LoRA name",
                               view="main")
    output_dir: str = setting("", _SAME_FOLDER.format("the tuned checkpoint"), label="Folder", path=LORA_FOLDER)
    save_precision: str = _precision()
    only_curve: bool = _only_curve()


@dataclass(frozen=True)
class MergeJob:
    """A copy of a checkpoint with LoRAs merged into it."""

    checkpoint: str = setting("", "The checkpoint to merge into; it stays as it is.", label="Checkpoint", view="main")
    loras: List[str] = setting([], "The LoRA files, in the order of the prompt.", label="LoRAs", view="main",
                               path=LORA)
    strengths: List[str] = _strengths()
    block_presets: str = _block_presets()
    output_name: str = setting("", "Name of the new checkpoint: the file name without its extension.",
                               label="Checkpoint name", view="main")
    output_dir: str = setting("", _SAME_FOLDER.format("the checkpoint"), label="Folder",
                              path=CHECKPOINT_FOLDER)
    save_precision: str = setting("", "Number format of the saved file; empty for that of the checkpoint.",
                                  label="Save precision", choices=("", "fp16", "bf16", "float"))


@dataclass(frozen=True)
class MixJob:
    """Several LoRAs as one."""

    loras: List[str] = setting([], "The LoRA files.", label="LoRAs", view="main", path=LORA)
    strengths: List[str] = _strengths()
    network_dim: Optional[int] = _rank("Rank of the new LoRA; empty for as many ranks as the sum has, which is exact.")
    conv_dim: Optional[int] = _conv_rank("Rank of 3x3 convolutions; empty for the rank above.")
    sv_ratio: Optional[float] = _ratio()
    sv_fro: Optional[float] = _fro()
    sv_cumulative: Optional[float] = _cumulative()
    checkpoint: str = _checkpoint_for_change()
    block_presets: str = _block_presets()
    device: str = _device()
    output_name: str = setting("", "Name of the LoRA: the file name without its extension.", label="LoRA name",
                               view="main")
    output_dir: str = setting("", _SAME_FOLDER.format("the first LoRA"), label="Folder", path=LORA_FOLDER)
    save_precision: str = _precision()
    only_curve: bool = _only_curve()


@dataclass(frozen=True)
class ResizeJob:
    """A LoRA at another rank."""

    lora: str = setting("", "The LoRA file.", label="LoRA", view="main", path=LORA)
    network_dim: Optional[int] = _rank("The new rank, or the highest where kept energy decides.")
    conv_dim: Optional[int] = _conv_rank("The new rank of 3x3 convolutions; empty for the rank above.")
    sv_ratio: Optional[float] = _ratio()
    sv_fro: Optional[float] = _fro()
    sv_cumulative: Optional[float] = _cumulative()
    to_lora: bool = setting(False, "Turns LoHa, LoKr, (IA)^3, DoRA and whole weights into a plain LoRA.",
                            label="Convert to LoRA")
    cut: Optional[bool] = setting(None, "Cuts a DyLoRA off at the rank, as dyn= in a prompt does; empty does so for "
                                        "files that say they are DyLoRA.", label="Cut DyLoRA")
    checkpoint: str = _checkpoint_for_change()
    device: str = _device()
    output_name: str = setting("", "Name of the new LoRA: the file name without its extension.", label="LoRA name",
                               view="main")
    output_dir: str = setting("", _SAME_FOLDER.format("the LoRA"), label="Folder", path=LORA_FOLDER)
    save_precision: str = _precision()
    only_curve: bool = _only_curve()


@dataclass(frozen=True)
class InspectJob:
    """What is in a LoRA file."""

    lora: str = setting("", "The LoRA file.", label="LoRA", view="main", path=LORA)


@dataclass(frozen=True)
class BasesJob:
    """A comparison of checkpoints."""

    checkpoints: List[str] = setting([], "The checkpoints, or folders of them.", label="Checkpoints", view="main")
    hashes: List[str] = setting([], "For each checkpoint, the beginning of its SHA-256 where it is known, else empty. "
                                    "Merges that name their parents by hash are recognized by it.", label="Hashes",
                                view="hidden")
    cache: str = setting("", "The folder that keeps what was read of each file; empty for none.", label="Cache",
                         view="hidden")
