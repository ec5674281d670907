"""The values of the one setting in which the runs of a group differ: as text, and in the name of the LoRA."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

from ...config.job import all_settings
from ...config.setting import SettingField
from ...errors import ConfigError

CHECKPOINT = "base.checkpoint"
_NOT_VARIED = {"save.output_name": "each run gets a name of its own, made from the value",
               "save.output_dir": "it only says where the file goes"}
_LONGEST_NAME, _LONGEST_PART = 100, 40
_SHORT = {"network.network_dim": "dim", "network.network_alpha": "alpha", "optimizer.learning_rate": "lr",
          "optimizer.unet_lr": "unet", "optimizer.text_encoder_lr": "te", "optimizer.optimizer_type": "",
          "network.network_type": "", "training.max_train_epochs": "ep", "training.max_train_steps": "steps",
          "training.seed": "seed", "dataset.resolution": "res", "dataset.train_batch_size": "batch", CHECKPOINT: "on-",
          "dataset.train_data_dir": "with-", "scheduler.lr_scheduler": ""}
"""How a setting is called in a file name; others take their own name, and these values speak for themselves."""


def varied_field(key: str) -> SettingField:
    """Return the setting ``key`` (``group.name``). Raises ``ConfigError`` if it cannot differ within a group."""
    field = next((one for one in all_settings() if one.key == key), None)
    if field is None:
        raise ConfigError(f"There is no setting {key[:200]!r}. Choose one of the list.")
    if key in _NOT_VARIED:
        raise ConfigError(f"{key} cannot be varied: {_NOT_VARIED[key]}. Choose another setting.")
    return field


def is_path(field: SettingField) -> bool:
    """Whether the values of ``field`` are paths, of which the last part says enough."""
    return bool(field.info.path) or field.key in (CHECKPOINT, "base.vae")


def in_words(field: SettingField, value: Any) -> str:
    """Return ``value`` as it is shown in headings: ``16``, ``on``, ``nai.safetensors``, ``empty``."""
    if value is None or value in ("", []):
        return "empty"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    if is_path(field):
        return re.split(r"[\\/]", str(value).rstrip("\\/"))[-1]
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def title_of(field: SettingField, values: Iterable[Any]) -> str:
    """Return the title of a group: ``Rank (dim): 8, 16, 32``."""
    return f"{field.label}: {', '.join(in_words(field, value) for value in values)}"[:300]


def variant_name(name: str, field: SettingField, value: Any) -> str:
    """Return the name of the LoRA ``name`` trained with ``value``: ``penny-dim16``, ``penny-on-nai``."""
    words = in_words(field, value)
    part = PurePath(words).stem if is_path(field) else words
    short = _SHORT.get(field.key, field.name.removeprefix("network_").removeprefix("max_train_"))
    part = re.sub(r"[^\w.+-]+", "_", f"{short}{part}").strip("_.")[:_LONGEST_PART]
    return f"{name[:_LONGEST_NAME - len(part) - 1]}-{part}"
