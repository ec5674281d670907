"""Settings that have no effect with the current choices: the form hides them, each with its reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from ..config.check import problems_of
from ..config.check_network import without_use
from ..config.job import Job, all_settings
from ..config.setting import SettingField
from .no_effect import no_effect_notes
from .no_effect_images import IMAGE_GROUPS, image_notes
from .notes import can_be_read
from .surroundings import Surroundings

_NO_EFFECT = " has no effect: "


def not_applicable(job: Job, around: Surroundings) -> dict[str, str]:
    """Why each setting still at its default would have no effect if changed: ``group.name`` to the text after "Has no
    effect: ".

    Every setting is changed in turn and the notes are evaluated, so that a new setting or note needs no second table
    here. Changed settings are skipped, since they have their own notes. Settings that depend on the images are skipped
    too, so that they do not appear and disappear while a folder fills. Empty while any setting is invalid.
    """
    if not can_be_read(job):
        return {}
    around = dataclasses.replace(around, plan=None, shapes={})
    reasons = {f"network.{name}": f"{job.network.network_type} does not use it; choose {users}."
               for name, users in without_use(job.network.network_type).items()}
    if around.velocity is False and not job.base.v_parameterization:
        reasons["loss.zero_terminal_snr"] = "the checkpoint predicts noise, not velocity."
    for field in all_settings():
        if getattr(getattr(job, field.group), field.name) != field.default:
            reasons.pop(field.key, None)
        elif field.info.view != "hidden" and field.key not in reasons:
            reason = _why_nothing(job, field, around)
            if reason:
                reasons[field.key] = reason
    return reasons


def _why_nothing(job: Job, field: SettingField, around: Surroundings) -> str:
    """Why no other value has an effect; empty if one does."""
    reason = ""
    for value in _others(field):
        changed = _with(job, field, value)
        if field.info.choices == () and _is_text(field) and any(field.key in text for text in problems_of(changed)):
            return ""  # an invented text may be invalid, which proves nothing about valid ones
        of_images = image_notes(changed, around) if field.group in IMAGE_GROUPS else ()
        notes = (*no_effect_notes(changed, around, field.group), *of_images)
        whys = [note.text.partition(_NO_EFFECT)[2] for note in notes
                if note.key == field.key and _NO_EFFECT in note.text]
        if not whys:
            return ""
        reason = whys[0]
    return reason


def _is_text(field: SettingField) -> bool:
    return _plain_type(field) not in ("int", "float", "bool")


def _plain_type(field: SettingField) -> str:
    return field.type_name.removeprefix("Optional[").removesuffix("]")


def _with(job: Job, field: SettingField, value: Any) -> Job:
    group = dataclasses.replace(getattr(job, field.group), **{field.name: value})
    return dataclasses.replace(job, **{field.group: group})


def _others(field: SettingField) -> Iterator[Any]:
    """Other values that the setting may have besides its default."""
    info, kind, default = field.info, _plain_type(field), field.default
    if info.choices:
        yield from (choice for choice in info.choices if choice != default)
    elif kind == "bool":
        yield not default
    elif kind in ("int", "float"):
        number = int if kind == "int" else float
        for value in {number(step) for step in (0, 0.25, 1, 2, 5, 70, info.minimum or 0, info.maximum or 0)}:
            low, high = info.minimum, info.maximum
            if value != default and (low is None or value >= low) and (high is None or value <= high):
                yield value
    else:
        yield ["a"] if kind.startswith("List") else "a"
