"""Settings to start from, each with its reasons: partial jobs that are laid over the defaults.

After the guide's "Starting settings", "The Easy settings", "Min. SNR Gamma" and "Learn dampening".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .steps import WANTED_LOOKS


@dataclass(frozen=True)
class Preset:
    """``values`` is group → setting → value; ``reasons`` is ``group.setting`` → why, for those that need one.

    ``looks`` is how many pictures the run should show, repeats counted; epochs follow from it and the set's size.
    """

    name: str
    title: str
    text: str
    values: Mapping[str, Mapping[str, Any]]
    reasons: Mapping[str, str]
    looks: int = WANTED_LOOKS


_ADAPTIVE = {"optimizer_type": "Prodigy", "learning_rate": 1.0, "unet_lr": None, "text_encoder_lr": None}
_NARROW_BUCKETS = {"min_bucket_reso": 320, "max_bucket_reso": 768}

EASY = Preset(
    "easy", "Easy: a character or anything else",
    "The settings that come out well for nearly everyone, with an optimizer that finds its own learning rate.",
    {"optimizer": _ADAPTIVE, "scheduler": {"lr_scheduler": "constant", "lr_warmup_steps": 0.0},
     "network": {"network_type": "LoRA-LierLa", "network_dim": 32, "network_alpha": 1.0},
     "dataset": {"resolution": "512", **_NARROW_BUCKETS}, "loss": {"min_snr_gamma": 5.0},
     "base": {"max_token_length": 225}},
    {"optimizer.optimizer_type": "Prodigy moves the learning rate by itself, which makes it hard to burn the LoRA.",
     "network.network_dim": "32 is enough for most characters and concepts; 64 if yours is unusual.",
     "network.network_alpha": "Adaptive optimizers did best with alpha 1.",
     "scheduler.lr_scheduler": "The optimizer is the schedule.",
     "dataset.max_bucket_reso": "Fewer buckets, better filled."})

CHARACTER_GOOD = Preset(
    "character-good", "Character, 35 to 100 good pictures",
    "Learning rates by hand, for those who like to turn the knobs or are short of memory.",
    {"optimizer": {"optimizer_type": "AdamW", "learning_rate": 1e-4, "unet_lr": 1e-4, "text_encoder_lr": 5e-5},
     "scheduler": {"lr_scheduler": "cosine"}, "network": {"network_dim": 64, "network_alpha": 32.0},
     "dataset": {"resolution": "512", **_NARROW_BUCKETS}, "loss": {"min_snr_gamma": 5.0}},
    {"optimizer.unet_lr": "The standard value; the UNet is the part that burns first.",
     "optimizer.text_encoder_lr": "Half of the UNet's keeps things apart that do not belong together.",
     "network.network_dim": "32 to 96 for a character; more for one with an unusual shape."})

CHARACTER_BAD = Preset(
    "character-bad", "Character, 15 to 30 poor pictures",
    "Few or flawed pictures want a longer, gentler training.",
    {"optimizer": {"optimizer_type": "AdamW", "learning_rate": 1e-4, "unet_lr": 1e-4, "text_encoder_lr": 4.5e-5},
     "scheduler": {"lr_scheduler": "cosine"}, "network": {"network_dim": 32, "network_alpha": 16.0},
     "dataset": {"resolution": "512", **_NARROW_BUCKETS}, "loss": {"min_snr_gamma": 5.0}},
    {"network.network_dim": "32 to 64: more would learn the flaws as well.",
     "optimizer.text_encoder_lr": "A little lower, since the captions have to stretch over few pictures."},
    looks=1600)

STYLE = Preset(
    "style", "Style, 100 pictures or more",
    "A way of drawing, from many pictures that have nothing else in common.",
    {"optimizer": {"optimizer_type": "AdamW", "learning_rate": 1e-4, "unet_lr": 1e-4, "text_encoder_lr": 4e-5},
     "scheduler": {"lr_scheduler": "cosine"}, "network": {"network_dim": 96, "network_alpha": 48.0},
     "dataset": {"resolution": "576", **_NARROW_BUCKETS}, "loss": {"min_snr_gamma": 8.0}},
    {"network.network_dim": "96 to 192 with thousands of pictures; a smaller one often does with few.",
     "network.network_alpha": "Half of dim is a soft brake, which suits a style.",
     "loss.min_snr_gamma": "Above 5 learning is slower and smoother, which suits styles.",
     "dataset.resolution": "576 brings out the brushwork, for more time and memory."},
    looks=3000)

CONCEPT = Preset(
    "concept", "Concept: a thing, garment, pose or place",
    "Something that should go together with everything else the model knows.",
    {"optimizer": {"optimizer_type": "AdamW", "learning_rate": 1e-4, "unet_lr": 1e-4, "text_encoder_lr": 4.5e-5},
     "scheduler": {"lr_scheduler": "cosine"}, "network": {"network_dim": 16, "network_alpha": 8.0},
     "dataset": {"resolution": "512", **_NARROW_BUCKETS}, "loss": {"min_snr_gamma": 5.0}},
    {"network.network_dim": "8 is enough for simple clothes and poses; elaborate ones take up to 128."})

SMALL_GPU = Preset(
    "small-gpu", "Small GPU, 6 GB or less",
    "Laid over another preset: the same training with as little memory as it can do with.",
    {"optimizer": {"optimizer_type": "AdamW", "learning_rate": 1e-4, "unet_lr": 1e-4, "text_encoder_lr": 5e-5},
     "dataset": {"resolution": "512", "train_batch_size": 1},
     "training": {"gradient_checkpointing": True, "gradient_accumulation_steps": 1}},
    {"optimizer.optimizer_type": "The adaptive optimizers keep more numbers for each weight: too much for 6 GB.",
     "training.gradient_checkpointing": "About a quarter slower, but much less memory.",
     "dataset.train_batch_size": "Each further picture in a batch costs memory; gradient_accumulation_steps does not."})

PRESETS = (EASY, CHARACTER_GOOD, CHARACTER_BAD, STYLE, CONCEPT, SMALL_GPU)


def preset(name: str) -> Preset:
    """The preset ``name``. Raises ``KeyError`` if there is none."""
    for candidate in PRESETS:
        if candidate.name == name:
            return candidate
    raise KeyError(name)


def lay_over(values: Mapping[str, Any], chosen: Preset) -> dict[str, dict[str, Any]]:
    """Nested job ``values`` with those of ``chosen`` in their place; neither is changed."""
    groups = {group: dict(content) for group, content in values.items()}
    for group, content in chosen.values.items():
        groups[group] = {**groups.get(group, {}), **content}
    return groups
