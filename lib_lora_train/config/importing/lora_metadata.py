"""Imports the training settings stored in a LoRA file: sd-scripts' ``ss_`` keys, or the whole job in our own files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...files.json_file import DamagedFileError, parse
from ..load import read_job
from .option_table import names
from .places import CHECKPOINT, VAE, file_name
from .sd_dataset import take_dataset_config
from .sd_scripts import take_options
from .taking import Option, Options, Taking

_RENAMED = {
    "ss_num_epochs": "max_train_epochs", "ss_batch_size_per_device": "train_batch_size",
    "ss_optimizer": "optimizer_type", "ss_v2": "v2", "ss_prior_loss_weight": "prior_loss_weight",
    "ss_dropout": "network_dropout", "ss_face_crop_aug_range": "face_crop_aug_range"}
_TRAINED = names("""
    network_module network_dim network_alpha network_args network_dropout learning_rate unet_lr text_encoder_lr
    lr_scheduler lr_warmup_steps max_train_steps gradient_accumulation_steps gradient_checkpointing mixed_precision
    clip_skip max_token_length seed noise_offset multires_noise_iterations multires_noise_discount ip_noise_gamma
    adaptive_noise_scale zero_terminal_snr min_snr_gamma max_grad_norm scale_weight_norms debiased_estimation_loss
    loss_type huber_schedule huber_c huber_scale shuffle_caption keep_tokens enable_bucket min_bucket_reso
    max_bucket_reso bucket_no_upscale flip_aug color_aug random_crop caption_dropout_rate
    caption_dropout_every_n_epochs caption_tag_dropout_rate full_fp16 full_bf16 fp8_base fp8_base_unet lowram
    cache_latents training_comment output_name resolution noise_offset_random_strength weighted_captions
    ip_noise_gamma_random_strength masked_loss
    """)
_PATHS = frozenset(("base.checkpoint", "base.vae", "dataset.train_data_dir", "dataset.reg_data_dir",
                    "dataset.validation_data_dir", "dataset.conditioning_data_dir", "network.network_weights",
                    "save.output_dir"))
_FACT = "It is a fact about that training, not a setting."


def take_metadata(metadata: Mapping[str, str], tensors: Mapping[str, Any], taking: Taking) -> None:
    """Import every key of ``metadata``; ``tensors`` are the network settings derived from the file's tensors."""
    job = _json(metadata.get("train_lora_job"))
    if isinstance(job, Mapping):
        _take_job(job, taking)
    elif any(key.startswith("ss_") for key in metadata):
        _take_ss(metadata, taking)
    for key, value in metadata.items():
        if key != "train_lora_job" and (isinstance(job, Mapping) or not key.startswith("ss_")):
            taking.not_needed(Option(key, value), _FACT)
    if tensors:
        shown = Option("tensors", ", ".join(f"{name}={value}" for name, value in tensors.items()))
        taking.take(shown, {f"network.{name}": value for name, value in tensors.items()})


def _take_job(job: Mapping[str, Any], taking: Taking) -> None:
    """The original job without its folders, which the file does not store."""
    for group, settings in job.items():
        for name, value in settings.items() if isinstance(settings, Mapping) else ():
            key, option = f"{group}.{name}", Option(f"{group}.{name}", value)
            if key in ("base.checkpoint", "base.vae") and value:
                _find_named(CHECKPOINT if key.endswith("checkpoint") else VAE, key, option, taking)
            elif key in _PATHS:
                taking.not_needed(option, "A LoRA file holds no folders of the machine it was made on.")
            elif read_job({group: {name: value}})[1]:
                taking.not_known(option)
            else:
                taking.take(option, {key: value})


def _take_ss(metadata: Mapping[str, str], taking: Taking) -> None:
    options: Options = {}
    for key, value in metadata.items():
        name = _RENAMED.get(key, key.removeprefix("ss_"))
        if key == "ss_sd_model_name":
            _find_named(CHECKPOINT, "base.checkpoint", Option(key, value), taking)
        elif key == "ss_vae_name":
            _find_named(VAE, "base.vae", Option(key, value), taking)
        elif key.startswith("ss_") and (key in _RENAMED or name in _TRAINED):
            options[name] = Option(key, None if value == "None" else value)
        elif key == "ss_datasets":
            _take_datasets(Option(key, value), taking)
        elif key == "ss_dataset_dirs":
            _say_folders(Option(key, value), taking)
        elif key.startswith("ss_"):
            taking.not_needed(Option(key, value), _FACT)
    _read_texts(options)
    options["save_every_n_epochs"] = Option("save_every_n_epochs", 1, given=False)
    sdxl = str(metadata.get("ss_base_model_version", "")).startswith("sdxl")
    options.setdefault("caption_extension", Option("caption_extension", ".txt", given=False))
    options.setdefault("save_precision", Option("save_precision", "fp16", given=False))
    take_options(options, taking, sdxl=sdxl)


def _read_texts(options: Options) -> None:
    """Parse metadata values, which are texts: lists, sizes and optimizers in Python's notation."""
    arguments = options.get("network_args")
    if arguments is not None:
        options["network_args"] = Option(arguments.shown, _json(arguments.value) or {})
    optimizer = options.get("optimizer_type")
    if optimizer is not None and "(" in str(optimizer.value):
        name, _, rest = str(optimizer.value).partition("(")
        options["optimizer_type"] = Option(optimizer.shown, name)
        options["optimizer_args"] = Option(optimizer.shown, _split_arguments(rest.removesuffix(")")))
    resolution = options.get("resolution")
    if resolution is not None:
        sides = re.findall(r"\d+", str(resolution.value or ""))
        if sides:
            options["resolution"] = Option(resolution.shown, ",".join(sides[:2]))
        else:
            del options["resolution"]
    rates = options.get("text_encoder_lr")
    if rates is not None and str(rates.value).startswith("["):
        options["text_encoder_lr"] = Option(rates.shown, re.findall(r"[\d.eE+-]+", str(rates.value)))


def _split_arguments(text: str) -> list[str]:
    """Split ``a=1,betas=(0.9, 0.99)`` at commas outside brackets, each part with its name."""
    parts = re.split(r",(?=\s*[A-Za-z_]\w*=)", text)
    return [part.strip().replace(" ", "") for part in parts if part.strip()]


def _take_datasets(option: Option, taking: Taking) -> None:
    """The dataset settings, which runs with a dataset configuration store as a list."""
    datasets = _json(option.value)
    if not isinstance(datasets, Sequence) or not datasets or not isinstance(datasets[0], Mapping):
        taking.not_needed(option, _FACT)
        return
    kept = ("resolution", "enable_bucket", "min_bucket_reso", "max_bucket_reso", "bucket_no_upscale")
    general: dict[str, Any] = {name: datasets[0][name] for name in kept if name in datasets[0]}
    if "batch_size_per_device" in datasets[0]:
        general["batch_size"] = datasets[0]["batch_size_per_device"]
    subsets = datasets[0].get("subsets")
    first = subsets[0] if isinstance(subsets, Sequence) and subsets and isinstance(subsets[0], Mapping) else {}
    names = ("num_repeats", "keep_tokens", "shuffle_caption", "flip_aug", "color_aug", "random_crop",
             "caption_dropout_rate", "caption_tag_dropout_rate", "caption_dropout_every_n_epochs")
    general |= {name: first[name] for name in names if first.get(name) is not None}
    take_dataset_config({"datasets": [{**general, "subsets": [{}]}]}, taking, defaults=False)
    taking.note(option, "The settings of its first dataset and folder were taken.")


def _say_folders(option: Option, taking: Taking) -> None:
    folders = _json(option.value)
    if not isinstance(folders, Mapping) or not folders:
        taking.not_needed(option, _FACT)
        return
    listed = ", ".join(f"{name} ({facts.get('img_count', '?')} images, {facts.get('n_repeats', '?')} repeats)"
                       for name, facts in list(folders.items())[:20] if isinstance(facts, Mapping))
    taking.drop(Option(option.shown, listed), "The file does not hold the images. Choose their folder; these were "
                                              "its folders.")


def _find_named(kind: str, key: str, option: Option, taking: Taking) -> None:
    """Find a file for which the metadata stores only the name."""
    if option.is_off:
        taking.not_needed(option, "It is empty.")
        return
    name = file_name(str(option.value))
    found, why = taking.places.find(kind, name)
    if found is None:
        taking.drop(option, why)
    else:
        taking.take(option, {key: found}, why)


def _json(text: Any) -> Any:
    try:
        return parse(text or "")
    except (DamagedFileError, TypeError):
        return None
