"""Values worth trying for a setting, each with the reason."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ....advice.families import FamilyAdvice
from ....config.job import Job
from ....config.optimizer_args import finds_own_rate
from ....config.optimizer_facts import OPTIMIZERS
from ....config.setting import SettingField
from ....host.interface import Host
from ....runs.compare.values import CHECKPOINT, in_words

_RATES = {"optimizer.learning_rate": "unet_lr", "optimizer.unet_lr": "unet_lr",
          "optimizer.text_encoder_lr": "text_encoder_lr", "optimizer.text_encoder_lr2": "text_encoder_lr"}
_KNOWN: Mapping[str, tuple[tuple[Any, str], ...]] = {
    "loss.min_snr_gamma": ((None, "off"), (5.0, "the paper's value"), (1.0, "stronger, for small sets")),
    "loss.noise_offset": ((0.0, "off"), (0.05, "somewhat darker and brighter images"), (0.1, "the usual maximum")),
    "dataset.caption_dropout_rate": ((0.0, "off"), (0.05, "a little"), (0.1, "the usual value for styles")),
    "network.network_dropout": ((0.0, "off"), (0.1, "against overfitting"), (0.3, "strong")),
    "base.clip_skip": ((1, "realistic models"), (2, "NAI and most anime models"))}
_CHANCE = "the same settings again: the difference is chance"


@dataclass(frozen=True)
class Suggestion:
    """A value, as JSON and as text, and why to try it (a clause, may be empty)."""

    value: Any
    text: str
    reason: str


def suggestions(host: Host, setting: SettingField, job: Job, family: FamilyAdvice) -> list[Suggestion]:
    """Return values of ``setting`` for ``job`` on a base of ``family``, the job's own among them, each once."""
    now = getattr(getattr(job, setting.group), setting.name)
    found: dict[str, Suggestion] = {}
    for value, reason in _proposed(host, setting, job, family, now):
        words = f"{reason}, as now" if value == now and reason and reason != "as now" else "as now" if value == now \
            else reason
        text = in_words(setting, value)
        key = str(value) if setting.key == CHECKPOINT else text
        if _in_range(setting, value) and key not in found:
            found[key] = Suggestion(value, text, words)
    return list(found.values())


def _proposed(host: Host, setting: SettingField, job: Job, family: FamilyAdvice,
              now: Any) -> Iterator[tuple[Any, str]]:
    key = setting.key
    if key == CHECKPOINT:
        loaded = host.checkpoint()
        yield from ((str(file.path), "loaded in the webui" if loaded is not None and file.path == loaded.path else "")
                    for file in host.checkpoints())
    elif setting.type_name == "bool":
        yield from ((True, ""), (False, ""))
    elif key == "optimizer.optimizer_type":
        yield from ((name, facts.note) for name, facts in OPTIMIZERS.items())
    elif setting.info.choices:
        yield from ((choice, "") for choice in setting.info.choices)
    elif key in _RATES:
        usual, where = getattr(family, _RATES[key]), f"usual on {family.name}"
        if finds_own_rate(job.optimizer):
            usual, where = 1.0, f"{job.optimizer.optimizer_type} finds the rate by itself"
        yield from _rates(job.optimizer.learning_rate if now is None else now, usual, where)
    elif key in _KNOWN:
        yield from _KNOWN[key]
        yield now, "as now"
    else:
        yield from _others(setting, job, family, now)


def _others(setting: SettingField, job: Job, family: FamilyAdvice, now: Any) -> Iterator[tuple[Any, str]]:
    whole = now if isinstance(now, int) else 0
    if setting.key == "network.network_alpha":
        dim = job.network.network_dim
        yield from ((float(dim), "the rank: full strength"), (dim / 2, "half the rank: the usual value"),
                    (1.0, "1: learns slowly, needs a higher rate"))
    elif setting.key == "training.seed":
        yield from ((whole, "as now"), (whole + 1, _CHANCE), (whole + 2, _CHANCE))
    elif setting.key == "dataset.resolution":
        smaller = family.resolution * 3 // 4 // 64 * 64
        yield from ((str(family.resolution), f"the size of {family.name}"), (str(smaller), "faster, less detail"),
                    (now, "as now"))
    elif setting.key == "network.network_dim":
        yield from ((max(1, whole // 2), "half: a smaller file, less detail"), (whole, "as now"),
                    (whole * 2, "double: more detail, overfits sooner"))
    elif setting.key == "training.max_train_epochs" and whole:
        yield from ((max(1, whole // 2), "half: if it is overfitted"), (whole, "as now"),
                    (whole * 2, "double: if it is weak"))
    elif setting.type_name.removeprefix("Optional[").startswith(("int", "float")):
        yield from _around(setting, now)


def _rates(now: float, usual: float, where: str) -> Iterator[tuple[float, str]]:
    yield usual, where
    yield _rounded(now / 3), "a third: learns slower, overfits later"
    yield now, "as now"
    yield _rounded(now * 3), "three times: learns faster, may break"


def _around(setting: SettingField, now: Any) -> Iterator[tuple[Any, str]]:
    whole = "int" in setting.type_name
    if not isinstance(now, (int, float)) or isinstance(now, bool):
        yield now, "as now"
        return
    if setting.info.minimum == 0:
        yield (0 if whole else 0.0), "off"
    for factor, reason in ((0.5, "half"), (1, "as now"), (2, "double")):
        value = now * factor
        yield (round(value) if whole else _rounded(value)), reason


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")


def _in_range(setting: SettingField, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return True
    info = setting.info
    return (math.isfinite(value) and (info.minimum is None or value >= info.minimum)
            and (info.maximum is None or value <= info.maximum))
