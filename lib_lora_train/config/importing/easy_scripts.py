"""Imports a TOML of LoRA_Easy_Training_Scripts: sections of sd-scripts arguments and a list of subsets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .sd_dataset import take_subsets
from .sd_scripts import take_options
from .taking import Option, Options, Taking

_SECTIONS = ("general_args", "network_args", "optimizer_args", "saving_args", "bucket_args", "noise_args",
             "sample_args", "logging_args")
_DATASET_NAMES = {"batch_size": "train_batch_size"}


def is_easy_scripts(tables: Mapping[str, Any]) -> bool:
    """Whether ``tables`` come from LoRA_Easy_Training_Scripts."""
    return any(isinstance(tables.get(section), Mapping) and ({"args", "dataset_args"} & set(tables[section]))
               for section in _SECTIONS) or (isinstance(tables.get("subsets"), list) and bool(
                   set(_SECTIONS) & set(tables)))


def take_easy_scripts(tables: Mapping[str, Any], taking: Taking) -> None:
    """Import everything in the TOML."""
    options: Options = {}
    dataset: dict[str, Any] = {}
    for section, content in tables.items():
        if section in ("subsets", "train_mode"):
            continue
        if not isinstance(content, Mapping) or not section.endswith("_args"):
            taking.not_known(Option(section, content))
            continue
        for part, values in content.items():
            if part == "args" and isinstance(values, Mapping):
                options |= {name: Option(name, value) for name, value in values.items()}
            elif part == "dataset_args" and isinstance(values, Mapping):
                dataset |= values
            else:
                taking.not_known(Option(f"{section}.{part}", values))
    mode = tables.get("train_mode")
    if isinstance(mode, Mapping):
        options["train_mode"] = Option("train_mode", mode.get("train_mode", ""))
    sdxl = bool(options["sdxl"].value) if "sdxl" in options else False
    _read_network(options)
    _read_own_options(options, taking)
    options |= {_DATASET_NAMES.get(name, name): Option(name, value) for name, value in dataset.items()}
    subsets = [subset for subset in tables.get("subsets") or [] if isinstance(subset, Mapping)]
    take_subsets([{name: value for name, value in subset.items() if value is not None} for subset in subsets], {},
                 taking, defaults=False)
    take_options(options, taking, sdxl=sdxl)


def _read_network(options: Options) -> None:
    """The algorithm is one of the arguments; without it the network is sd-scripts' own module."""
    arguments = options.get("network_args")
    given = dict(arguments.value) if arguments is not None and isinstance(arguments.value, Mapping) else {}
    if "network_module" not in options:
        module = "lycoris.kohya" if "algo" in given else "networks.dylora" if "unit" in given else "networks.lora"
        options["network_module"] = Option("network_module", module, arguments is not None)


def _read_own_options(options: Options, taking: Taking) -> None:
    """Options that the program resolves before it starts sd-scripts."""
    ratio = options.pop("warmup_ratio", None)
    if ratio is not None:
        options["lr_warmup_steps"] = Option("warmup_ratio", ratio.value)
    for name in ("tag_occurrence", "tag_file_location", "save_toml", "save_toml_location",
                 "comment", "is_random_seed"):
        option = options.pop(name, None)
        if option is not None:
            taking.not_needed(option, "Tags, settings and notes are saved in the file and in the run's folder.")
