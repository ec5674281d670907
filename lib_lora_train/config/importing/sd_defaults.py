"""Defaults of sd-scripts that differ from ours."""

from __future__ import annotations

from typing import Any

from .taking import Options, Taking

_DEFAULTS: dict[str, tuple[str, Any, str]] = {
    "max_token_length": ("base.max_token_length", 75, "By default, sd-scripts uses the first 75 tokens of a caption."),
    "clip_skip": ("base.clip_skip", 1, "By default, sd-scripts uses the last layer of the text encoder."),
    "shuffle_caption": ("dataset.shuffle_caption", False, "By default, sd-scripts keeps the order of the tags."),
    "keep_tokens": ("dataset.keep_tokens", 0, "By default, sd-scripts keeps no tag in its place."),
    "caption_extension": ("dataset.caption_extension", ".caption",
                          "By default, sd-scripts reads .caption files, not .txt. Set .txt if yours are."),
    "enable_bucket": ("dataset.enable_bucket", False, "By default, sd-scripts crops every image to the resolution."),
    "min_snr_gamma": ("loss.min_snr_gamma", None, "By default, sd-scripts does not weight timesteps."),
    "mixed_precision": ("training.mixed_precision", "no", "By default, sd-scripts computes in full precision."),
    "save_precision": ("save.save_precision", "float", "By default, sd-scripts saves in full precision."),
    "save_every_n_epochs": ("save.save_every_n_epochs", None, "By default, sd-scripts saves only at the end."),
    "lr_decay_steps": ("scheduler.lr_decay_steps", 0.0, "By default, sd-scripts has no decay at the end."),
}
_WITH_BUCKETS: dict[str, tuple[str, Any, str]] = {
    "min_bucket_reso": ("dataset.min_bucket_reso", 256, "By default, sd-scripts starts buckets at 256 pixels."),
    "max_bucket_reso": ("dataset.max_bucket_reso", 1024, "By default, sd-scripts ends buckets at 1024 pixels."),
}
DATASET_NAMES = ("shuffle_caption", "keep_tokens", "caption_extension", "enable_bucket")


def fill_defaults(options: Options, taking: Taking) -> None:
    """Set sd-scripts' default for every option of the table that ``options`` leaves out."""
    for name, (key, value, why) in _DEFAULTS.items():
        if name not in options and key not in taking.values and not (
                name == "lr_decay_steps" and taking.values.get("scheduler.lr_scheduler") != "warmup_stable_decay"):
            taking.take_default(name, key, value, why)
    if taking.values.get("dataset.enable_bucket"):
        for name, (key, value, why) in _WITH_BUCKETS.items():
            if name not in options and key not in taking.values:
                taking.take_default(name, key, value, why)
    if taking.values.get("sample.sample_prompts") and "sample_at_first" not in options:
        taking.take_default("sample_at_first", "sample.sample_at_first", False,
                            "By default, sd-scripts generates no samples before training.")


def fill_dataset_defaults(given: frozenset[str], taking: Taking) -> None:
    """The same for a dataset configuration, which holds dataset options only."""
    for name in DATASET_NAMES:
        key, value, why = _DEFAULTS[name]
        if name not in given and key not in taking.values:
            taking.take_default(name, key, value, why)
