"""Settings that follow the one that is varied, as they do in the form: alpha its rank, the rates their optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....config.groups.optimizer import OptimizerSettings
from ....config.job import setting_named
from ....config.load import read_job
from ....config.optimizer_facts import OPTIMIZERS
from ....config.setting import SettingField

_ALPHAS = {"network.network_dim": "network_alpha", "network.conv_dim": "conv_alpha"}
_OPTIMIZER = "optimizer.optimizer_type"
_OF_PARTS = ("unet_lr", "text_encoder_lr", "text_encoder_lr2")


def follow(source: Mapping[str, Any], values: dict[str, Any], setting: SettingField, value: Any) -> list[str]:
    """Change in the job's nested ``values`` what follows ``setting``, now ``value``; returns notes on it.

    ``source`` are the values before. An invalid value changes nothing.
    """
    if setting.key in _ALPHAS and isinstance(value, int) and value >= 1:
        return _alpha(source, values, setting, value)
    if setting.key == _OPTIMIZER and value in OPTIMIZERS:
        return _rates(source, values, value)
    return []


def _alpha(source: Mapping[str, Any], values: dict[str, Any], setting: SettingField, rank: int) -> list[str]:
    """Alpha keeps its share of the rank, so that the scale of the LoRA stays."""
    name = _ALPHAS[setting.key]
    network = read_job({"network": source.get("network", {})})[0].network
    before, alpha = getattr(network, setting.name), getattr(network, name)
    if not before or not alpha or rank == before:
        return []
    now = float(f"{alpha * rank / before:.4g}")
    values.setdefault("network", {})[name] = now
    label = setting_named(f"network.{name}").label
    return [f"{label}: {now:g} instead of {alpha:g}, so that alpha / rank stays {alpha / before:.3g}."]


def _rates(source: Mapping[str, Any], values: dict[str, Any], optimizer: str) -> list[str]:
    """The rates are the usual one of the optimizer, if they suit the previous optimizer only."""
    before: OptimizerSettings = read_job({"optimizer": source.get("optimizer", {})})[0].optimizer
    old, new = OPTIMIZERS[before.optimizer_type], OPTIMIZERS[optimizer]
    rate = before.learning_rate
    if rate == new.usual_rate or not (old.adaptive != new.adaptive or rate == old.usual_rate):
        return []
    held = values.setdefault("optimizer", {})
    held["learning_rate"] = new.usual_rate
    parts = [name for name in _OF_PARTS if getattr(before, name)]
    held.update(dict.fromkeys(parts))
    labels = " and ".join(setting_named(f"optimizer.{name}").label for name in parts)
    also = f", and {labels} {'follow' if len(parts) > 1 else 'follows'} it" if parts else ""
    return [f"{setting_named('optimizer.learning_rate').label}: {new.usual_rate:g} instead of {rate:g}, as {optimizer} "
            f"needs it{also}."]
