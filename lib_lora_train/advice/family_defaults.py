"""What a job takes where it says nothing, by the family of its checkpoint and the base within it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .families import NOOBAI, NOOBAI_V, SD1, FamilyAdvice, advice_for, detected_base, named_velocity


@dataclass(frozen=True)
class BaseChoice:
    """``advice`` is the row that counts; ``detected`` is empty where neither name nor metadata says the base."""

    advice: FamilyAdvice
    detected: str
    overruled: str = ""
    """Why the base that was chosen is not used, in a sentence."""


def choose_base(family: str, file_name: str, metadata: Mapping[str, str], velocity: bool | None,
                chosen: str = "") -> BaseChoice:
    """The base of a checkpoint: ``chosen``, or else the one that is detected.

    ``velocity`` is what the file says that it predicts, ``None`` if it says nothing. What it says goes before the
    choice between NoobAI and NoobAI v-pred, since training goes by it too.
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
    """Settings (``group.name``) whose default is another than the schema's, which is that of SD 1.x."""
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
    """Put ``defaults`` into a job's nested ``values`` where they say nothing; returns those that were put in."""
    filled: dict[str, Any] = {}
    for key, default in defaults.items():
        group, name = key.split(".")
        held = values.setdefault(group, {})
        if isinstance(held, dict) and held.get(name) is None:
            held[name] = filled[key] = default
    return filled


def chosen_base(values: Mapping[str, Any]) -> str:
    """``base.sdxl_base`` of a job's nested ``values``; empty if it is not given."""
    base = values.get("base")
    return str(base.get("sdxl_base") or "") if isinstance(base, Mapping) else ""
