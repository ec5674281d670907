"""Imports the options of sd-scripts' LoRA scripts, from a command line or a configuration file."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from . import sd_network, sd_optimizer
from .option_table import (
    EMPTY_IS,
    KEY_OF,
    KNOWN,
    LEFT_OUT,
    NOT_NEEDED,
    OTHER_MODEL_REASON,
    OTHER_MODELS,
    ZERO_IS_EMPTY,
)
from .places import CHECKPOINT, FOLDER, LORA, OUTPUT, VAE, is_empty
from .prompts import read_prompts
from .sd_defaults import fill_defaults
from .taking import Option, Options, Taking

Handler = Callable[[Taking, Option], None]
_OF_HUB = re.compile(r"[\w-]+/[\w.-]+")
_MODEL_ENDINGS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
_CAPTION_ENDINGS = (".txt", ".caption", ".tags")


def take_options(options: Options, taking: Taking, *, sdxl: bool = False, defaults: bool = True) -> None:
    """Import each of ``options``, by its sd-scripts name; ``defaults`` also sets sd-scripts' defaults that differ from
    ours for missing options.
    """
    handled = sd_network.take(options, taking, sdxl) | sd_optimizer.take(options, taking) | _take_length(options,
                                                                                                      taking)
    for name, option in options.items():
        if name not in handled:
            take_option(name, option, taking, sdxl)
    if defaults:
        fill_defaults(options, taking)


def take_option(name: str, option: Option, taking: Taking, sdxl: bool = False) -> None:
    """Import an option that does not depend on others."""
    if name in _HANDLERS:
        _HANDLERS[name](taking, option)
    elif name in KEY_OF:
        _take_same(name, option, taking)
    elif name == "clip_skip":
        _take_clip_skip(taking, option, sdxl)
    elif name in NOT_NEEDED:
        taking.not_needed(option, NOT_NEEDED[name])
    elif name in LEFT_OUT or name in OTHER_MODELS:
        if option.is_off:
            taking.not_needed(option, "It is not used there either.")
        else:
            taking.drop(option, LEFT_OUT.get(name, OTHER_MODEL_REASON))
    else:
        taking.not_known(option, KNOWN)


def _take_same(name: str, option: Option, taking: Taking) -> None:
    value: Any = option.value
    if value in (None, "", "None") or (name in ZERO_IS_EMPTY and option.is_off):
        value = EMPTY_IS.get(name)
    taking.take(option, {KEY_OF[name]: value})


def _take_length(options: Options, taking: Taking) -> frozenset[str]:
    """Epochs override steps, as in sd-scripts; 1600 steps if neither is given."""
    steps, epochs = options.get("max_train_steps"), options.get("max_train_epochs")
    if epochs is None or epochs.is_off:
        gui = options.get("epoch")
        epochs = gui if gui is not None and (steps is None or steps.is_off) else epochs
    by_epoch = epochs is not None and not epochs.is_off
    for name in ("max_train_steps", "max_train_epochs", "epoch"):
        option = options.get(name)
        if option is None:
            continue
        if option is epochs and by_epoch:
            taking.take(option, {"training.max_train_epochs": option.value, "training.max_train_steps": None})
        elif option is steps and not by_epoch and not option.is_off:
            taking.take(option, {"training.max_train_steps": option.value, "training.max_train_epochs": None})
        else:
            taking.not_needed(option, "The length is given in epochs, which override steps in sd-scripts too."
                              if by_epoch else "The length is given in steps.")
    if not by_epoch and (steps is None or steps.is_off):
        taking.take_default("max_train_steps", "training.max_train_steps", 1600,
                            "By default, sd-scripts trains 1600 steps.")
        taking.values["training.max_train_epochs"] = None
    return frozenset(("max_train_steps", "max_train_epochs", "epoch"))


def _path(kind: str, key: str) -> Handler:
    def take(taking: Taking, option: Option) -> None:
        if option.is_off:
            taking.not_needed(option, "It is empty.")
            return
        found, sentence = taking.places.find(kind, str(option.value))
        if found is None:
            taking.drop(option, sentence)
        else:
            taking.take(option, {key: found}, sentence)
    return take


def _take_regularization(taking: Taking, option: Option) -> None:
    found = None if option.is_off else taking.places.find(FOLDER, str(option.value))[0]
    if found is not None and is_empty(found):
        taking.not_needed(option, "The folder is empty, so there is no regularization.")
    else:
        _path(FOLDER, "dataset.reg_data_dir")(taking, option)


def _take_checkpoint(taking: Taking, option: Option) -> None:
    name = str(option.value)
    of_hub = _OF_HUB.fullmatch(name) and not name.endswith(_MODEL_ENDINGS)
    if of_hub and taking.places.find(CHECKPOINT, name)[0] is None:
        taking.drop(option, f"{name} is a model of Hugging Face. Choose its checkpoint file (.safetensors).")
        return
    _path(CHECKPOINT, "base.checkpoint")(taking, option)


def _take_resolution(taking: Taking, option: Option) -> None:
    value = option.value
    parts = [str(part) for part in value] if isinstance(value, (list, tuple)) else str(value).replace(
        "x", ",").split(",")
    sides = [part.strip().removesuffix(".0") for part in parts if part.strip()]
    taking.take(option, {"dataset.resolution": sides[0] if len(set(sides)) == 1 else "x".join(sides)})


def _take_caption_extension(taking: Taking, option: Option) -> None:
    ending = str(option.value or "").strip()
    if not ending:
        taking.take(option, {"dataset.caption_extension": ".caption"}, "Empty, sd-scripts reads .caption files.")
        return
    dotted = ending if ending.startswith(".") else f".{ending}"
    if dotted.lower() in _CAPTION_ENDINGS:
        taking.take(option, {"dataset.caption_extension": dotted})
    elif "none" in dotted or "folder" in dotted:
        taking.take(option, {"dataset.use_folder_name": True},
                    note="There are no such files, so sd-scripts takes the name of the folder as the caption.")
    else:
        taking.take(option, {"dataset.caption_extension": ".txt"},
                    f"{dotted} files are not read here. Rename your caption files to .txt.")


def _take_face_crop(taking: Taking, option: Option) -> None:
    value = option.value
    text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value or "")
    taking.take(option, {"dataset.face_crop_aug_range": "" if text == "None" else text})


def _take_clip_skip(taking: Taking, option: Option, sdxl: bool) -> None:
    if sdxl:
        taking.not_needed(option, "SDXL always uses the second-to-last layer, in sd-scripts too.")
    else:
        taking.take(option, {"base.clip_skip": 1 if option.is_off else option.value})


def _take_token_length(taking: Taking, option: Option) -> None:
    taking.take(option, {"base.max_token_length": 75 if option.is_off else option.value})


def _take_seed(taking: Taking, option: Option) -> None:
    if option.value in (None, "", "None"):
        taking.not_needed(option, "Empty, sd-scripts draws a seed. The seed here is always written down.")
    else:
        taking.take(option, {"training.seed": option.value})


def _take_validation_seed(taking: Taking, option: Option) -> None:
    taking.take(option, {"dataset.validation_seed": 0 if option.value in (None, "", "None") else option.value})


def _take_precision(taking: Taking, option: Option) -> None:
    value = str(option.value or "no").lower()
    if value == "fp8":
        taking.take(option, {"training.mixed_precision": "auto", "training.base_weights": "fp8"},
                    "fp8 is a format of the base weights here.")
    else:
        taking.take(option, {"training.mixed_precision": {"none": "no", "false": "no", "float": "no",
                                                          "fp32": "no"}.get(value, value)})


def _take_save_precision(taking: Taking, option: Option) -> None:
    value = str(option.value or "float").lower()
    taking.take(option, {"save.save_precision": {"none": "float", "fp32": "float", "float32": "float"}.get(value,
                                                                                                        value)})


def _take_fp8(taking: Taking, option: Option) -> None:
    taking.take(option, {"training.base_weights": "full" if option.is_off else "fp8"})


def _take_masked_loss(taking: Taking, option: Option) -> None:
    if option.is_off:
        taking.not_needed(option, "It is not used there either.")
    else:
        taking.take(option, {"dataset.masked_loss": True}, "The loss of an image is divided by the area of its mask "
                                                           "here, not by that of the image.")


def _take_repeats(taking: Taking, option: Option) -> None:
    taking.take(option, {"dataset.dataset_repeats": option.value or 1})


def _take_trigger(taking: Taking, option: Option) -> None:
    taking.take(option, {"dataset.activation_tag": "" if option.is_off else option.value})


def _take_prompts(taking: Taking, option: Option) -> None:
    if option.is_off:
        taking.not_needed(option, "It is empty.")
        return
    text = str(option.value)
    if "\n" not in text and text.strip().lower().endswith((".txt", ".json", ".toml")):
        found = taking.places.read(text.strip())
        if found is None or not text.strip().lower().endswith(".txt"):
            taking.drop(option, f"The prompts of {text.strip()} could not be read. Write them into sample_prompts.")
            return
        text = found
    read_prompts(taking, option, text)


_HANDLERS: dict[str, Handler] = {
    "pretrained_model_name_or_path": _take_checkpoint, "vae": _path(VAE, "base.vae"),
    "train_data_dir": _path(FOLDER, "dataset.train_data_dir"), "reg_data_dir": _take_regularization,
    "output_dir": _path(OUTPUT, "save.output_dir"), "network_weights": _path(LORA, "network.network_weights"),
    "resolution": _take_resolution, "caption_extension": _take_caption_extension,
    "caption_extention": _take_caption_extension, "face_crop_aug_range": _take_face_crop,
    "max_token_length": _take_token_length, "seed": _take_seed, "validation_seed": _take_validation_seed,
    "mixed_precision": _take_precision, "save_precision": _take_save_precision, "fp8_base": _take_fp8,
    "fp8_base_unet": _take_fp8, "masked_loss": _take_masked_loss, "dataset_repeats": _take_repeats,
    "conditioning_data_dir": _path(FOLDER, "dataset.conditioning_data_dir"),
    "sample_prompts": _take_prompts, "metadata_trigger_phrase": _take_trigger,
}
