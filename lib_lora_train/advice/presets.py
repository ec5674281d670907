"""Presets to start from, with reasons: partial jobs that are applied to the defaults.

After the guide's "Starting settings", "The Easy settings", "Min. SNR Gamma" and "Learn dampening".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .families import SD1, FamilyAdvice
from .steps import USUAL_IMAGES_SEEN


@dataclass(frozen=True)
class Preset:
    """``values`` is group → setting → value; ``reasons`` is ``group.setting`` → why, for those that need one.

    ``images_seen`` is how many images the run should see, including repeats; the number of epochs follows from it and
    the dataset size.
    """

    name: str
    title: str
    text: str
    values: Mapping[str, Mapping[str, Any]]
    reasons: Mapping[str, str]
    images_seen: int = USUAL_IMAGES_SEEN
    on_top: bool = False
    """Whether it is applied on top of another preset, whose length it keeps."""


_ADAPTIVE = {"optimizer_type": "Prodigy", "learning_rate": 1.0, "unet_lr": None, "text_encoder_lr": None}
_BUCKETS = {"min_bucket_reso": None, "max_bucket_reso": None}

EASY = Preset(
    "easy", "Easy: a character or anything else",
    "Settings that work well for nearly everyone, with an optimizer that finds its own learning rate.",
    {"optimizer": _ADAPTIVE, "scheduler": {"lr_scheduler": "constant", "lr_warmup_steps": 0.0},
     "network": {"network_type": "LoRA-LierLa", "network_dim": 32, "network_alpha": 1.0},
     "dataset": {"resolution": "512", **_BUCKETS}, "loss": {"min_snr_gamma": 5.0},
     "base": {"max_token_length": 225}},
    {"optimizer.optimizer_type": "Prodigy adjusts the learning rate by itself, so the LoRA is hard to overcook.",
     "network.network_dim": "32 is enough for most characters and concepts; 64 if yours is unusual.",
     "network.network_alpha": "Adaptive optimizers did best with alpha 1.",
     "scheduler.lr_scheduler": "The optimizer adjusts the rate by itself.",
     "dataset.max_bucket_reso": "Bucket sides follow from the resolution."})

CHARACTER_GOOD = Preset(
    "character-good", "Character, 35 to 100 good images",
    "Learning rates set by hand, for those who like to tune or are short of memory.",
    {"optimizer": {"optimizer_type": "AdamW", "learning_rate": 1e-4, "unet_lr": 1e-4, "text_encoder_lr": 5e-5},
     "scheduler": {"lr_scheduler": "cosine"}, "network": {"network_dim": 64, "network_alpha": 32.0},
     "dataset": {"resolution": "512", **_BUCKETS}, "loss": {"min_snr_gamma": 5.0}},
    {"optimizer.unet_lr": "The standard value; the UNet is the first part to overcook.",
     "optimizer.text_encoder_lr": "Half of the UNet's rate keeps unrelated things apart.",
     "network.network_dim": "32 to 96 for a character; more for one with an unusual shape."})

CHARACTER_BAD = Preset(
    "character-bad", "Character, 15 to 30 poor images",
    "Few or flawed images need longer and gentler training. Add regularization images as well: the webui can "
    "generate them, below the regularization folder.",
    {"optimizer": {"optimizer_type": "AdamW", "learning_rate": 1e-4, "unet_lr": 1e-4, "text_encoder_lr": 4.5e-5},
     "scheduler": {"lr_scheduler": "cosine"}, "network": {"network_dim": 32, "network_alpha": 16.0},
     "dataset": {"resolution": "512", **_BUCKETS}, "loss": {"min_snr_gamma": 5.0}},
    {"network.network_dim": "32 to 64: a higher rank would learn the flaws too.",
     "optimizer.text_encoder_lr": "A little lower, because there are few captions to learn from."},
    images_seen=1600)

STYLE = Preset(
    "style", "Style, 100 images or more",
    "An art style, from many images that have nothing else in common.",
    {"optimizer": {"optimizer_type": "AdamW", "learning_rate": 1e-4, "unet_lr": 1e-4, "text_encoder_lr": 4e-5},
     "scheduler": {"lr_scheduler": "cosine"},
     "network": {"network_type": "LyCORIS-LoCon", "network_dim": 96, "network_alpha": 48.0, "conv_dim": 16,
                 "conv_alpha": 8.0},
     "dataset": {"resolution": "576", **_BUCKETS}, "loss": {"min_snr_gamma": 8.0}},
    {"network.network_dim": "96 to 192 with thousands of images; less is often enough with few.",
     "network.network_type": "LoCon trains the convolutions too, which hold texture.",
     "network.network_alpha": "Half of dim slows learning gently, which suits a style.",
     "loss.min_snr_gamma": "Above 5 learning is slower and smoother, which suits styles.",
     "dataset.resolution": "576 brings out the brushwork, for more time and memory."},
    images_seen=3000)

CONCEPT = Preset(
    "concept", "Concept: a thing, garment, pose or place",
    "Something that should combine with everything the model knows.",
    {"optimizer": {"optimizer_type": "AdamW", "learning_rate": 1e-4, "unet_lr": 1e-4, "text_encoder_lr": 4.5e-5},
     "scheduler": {"lr_scheduler": "cosine"},
     "network": {"network_type": "LyCORIS-LoCon", "network_dim": 16, "network_alpha": 8.0, "conv_dim": 8,
                 "conv_alpha": 4.0},
     "dataset": {"resolution": "512", **_BUCKETS}, "loss": {"min_snr_gamma": 5.0}},
    {"network.network_type": "LoCon trains every block, which suits things and places.",
     "network.network_dim": "8 is enough for simple clothes and poses; elaborate ones take up to 128."})

_IN_LITTLE_MEMORY = {"optimizer_type": "AdamW8bit", "learning_rate": 5e-5, "unet_lr": 5e-5, "text_encoder_lr": 2.5e-5}
_ALPHA_OF_THE_RANK = {"network_alpha": 0.0, "conv_alpha": None}
"""Alpha equals the rank; with half the rates of the other presets, whose alpha is half the rank, it learns as fast."""

EIGHT_GB = Preset(
    "8-gb", "8 GB GPU",
    "Applied on top of another preset: the memory switches are chosen so that the run fits in 8 GB.",
    {"optimizer": _IN_LITTLE_MEMORY, "network": _ALPHA_OF_THE_RANK, "dataset": {"train_batch_size": 1},
     "training": {"gradient_checkpointing": True, "gradient_accumulation_steps": 1, "fit_in_gb": 7.0}},
    {"optimizer.optimizer_type": "AdamW8bit keeps two bytes for each trained value, Prodigy sixteen.",
     "training.fit_in_gb": "8 GB minus what the screen uses: fp8 weights and block swap are switched on if they are "
                           "needed.",
     "dataset.train_batch_size": "Each additional image in a batch costs memory; gradient_accumulation_steps does "
                                 "not."},
    on_top=True)

SMALL_GPU = Preset(
    "small-gpu", "Small GPU, 6 GB or less",
    "Applied on top of another preset: the same training with as little memory as possible.",
    {"optimizer": _IN_LITTLE_MEMORY, "network": _ALPHA_OF_THE_RANK,
     "dataset": {"resolution": "512", "train_batch_size": 1, **_BUCKETS},
     "training": {"gradient_checkpointing": True, "gradient_accumulation_steps": 1, "fit_in_gb": 5.0}},
    {"optimizer.optimizer_type": "AdamW8bit keeps two bytes for each trained value, Prodigy sixteen.",
     "training.gradient_checkpointing": "About a quarter slower, but much less memory.",
     "dataset.train_batch_size": "Each additional image in a batch costs memory; gradient_accumulation_steps does "
                                 "not."},
    on_top=True)

PRESETS = (EASY, CHARACTER_GOOD, CHARACTER_BAD, STYLE, CONCEPT, EIGHT_GB, SMALL_GPU)


def for_family(chosen: Preset, family: FamilyAdvice) -> Preset:
    """``chosen``, which is written for SD 1.x, with the size, ranks and rates of ``family``."""
    values = {group: dict(content) for group, content in chosen.values.items()}
    dataset, network, optimizer = (values.get(group, {}) for group in ("dataset", "network", "optimizer"))
    if family.resolution != SD1.resolution and "resolution" in dataset:
        dataset["resolution"] = str(family.resolution)
    for dim, alpha in (("network_dim", "network_alpha"), ("conv_dim", "conv_alpha")):
        if dim in network:
            rank = family.rank(network[dim])
            if network[alpha] != 1:
                network[alpha] = network[alpha] / network[dim] * rank
            network[dim] = rank
    if optimizer.get("unet_lr"):
        optimizer["unet_lr"] = _times(optimizer["unet_lr"], family.unet_lr / SD1.unet_lr)
        optimizer["learning_rate"] = optimizer["unet_lr"]
        optimizer["text_encoder_lr"] = _times(optimizer["text_encoder_lr"],
                                              family.text_encoder_lr / SD1.text_encoder_lr)
    return replace(chosen, values=values, reasons=_reasons(chosen, family, values))


def _times(rate: float, factor: float) -> float:
    return float(f"{rate * factor:.3g}")


def _reasons(chosen: Preset, family: FamilyAdvice, values: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The reasons that mention sizes or rates of SD 1.x, adapted to ``family``."""
    reasons = dict(chosen.reasons)
    if family.wider:
        on_sd1 = chosen.values.get("network", {}).get("network_dim")
        if on_sd1 is not None:
            reasons["network.network_dim"] = (f"On {family.name} rank {family.rank(on_sd1)} holds about what {on_sd1} "
                                              "holds on SD 1.5, in a smaller file.")
    if family.resolution != SD1.resolution and "resolution" in values.get("dataset", {}):
        reasons["dataset.resolution"] = f"{family.resolution} is the size that {family.name} models were trained at."
    if chosen.on_top:
        reasons["network.network_alpha"] = "These rates assume that alpha equals the rank."
    if family.unet_lr != SD1.unet_lr and not chosen.on_top and values.get("optimizer", {}).get("unet_lr"):
        reasons["optimizer.unet_lr"] = f"The usual rate for {family.name}."
    return reasons
