"""Defaults of a job by the family of its checkpoint and the base within it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .families import NOOBAI, NOOBAI_V, SD1, FamilyAdvice, advice_for, detected_base, named_velocity


@dataclass(frozen=True)
class BaseChoice:
    """``advice`` is the row that applies; ``detected`` is empty if neither name nor metadata identifies the base."""

    advice: FamilyAdvice
    detected: str
    overruled: str = ""
    """Why the chosen base is not used, in a sentence."""


def choose_base(family: str, file_name: str, metadata: Mapping[str, str], velocity: bool | None,
                chosen: str = "") -> BaseChoice:
    """The base of a checkpoint: ``chosen``, or else the detected one.

    ``velocity`` is the prediction type marked in the file, ``None`` if there is no mark. The mark decides between
    NoobAI and NoobAI v-pred, since training follows it too.
    """
    detected = detected_base(family, file_name, metadata)
    if detected == NOOBAI.name and (named_velocity(detected, file_name) if velocity is None else velocity):
        detected = NOOBAI_V.name
    base = chosen or detected
    if velocity is not None and base in (NOOBAI.name, NOOBAI_V.name):
        base = NOOBAI_V.name if velocity else NOOBAI.name
    overruled = ""
    if chosen and base != chosen:
        overruled = (f"base.sdxl_base is {chosen}, but the checkpoint says that it predicts "
                     f"{'velocity' if velocity else 'noise'}, so the settings of {base} are used.")
    return BaseChoice(advice_for(family, base), detected, overruled)


def family_defaults(family: str, advice: FamilyAdvice, follows_clip_skip: bool) -> dict[str, Any]:
    """Settings (``group.name``) whose default differs from the schema's, which is for SD 1.x."""
    defaults: dict[str, Any] = {}
    if advice.resolution != SD1.resolution:
        defaults["dataset.resolution"] = str(advice.resolution)
    if not follows_clip_skip:
        defaults["base.clip_skip"] = 1
    if advice.cfg_scale != advice_for(family).cfg_scale:
        defaults["sample.cfg_scale"] = advice.cfg_scale
    if advice.velocity:
        defaults |= {"base.v_parameterization": True, "loss.zero_terminal_snr": True}
    return defaults


def fill_in(values: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Add ``defaults`` to a job's nested ``values`` where they are missing; returns those added."""
    filled: dict[str, Any] = {}
    for key, default in defaults.items():
        group, name = key.split(".")
        held = values.setdefault(group, {})
        if isinstance(held, dict) and held.get(name) is None:
            held[name] = filled[key] = default
    return filled


def chosen_base(values: Mapping[str, Any]) -> str:
    """``base.sdxl_base`` of a job's nested ``values``; empty if it is missing."""
    base = values.get("base")
    return str(base.get("sdxl_base") or "") if isinstance(base, Mapping) else ""


def unused_settings(family: str, text_encoders: int | None, reads_clip_skip: bool | None) -> dict[str, str]:
    """Why settings have no effect on checkpoints of ``family``: ``group.name`` to a clause; ``None`` is unknown."""
    reasons = {}
    if reads_clip_skip is False:
        reasons["base.clip_skip"] = f"{family} always uses the second-to-last layer, as in the webui"
    if text_encoders == 1:
        reasons["optimizer.text_encoder_lr2"] = f"{family} has one text encoder"
    return reasons
