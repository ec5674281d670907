"""A job on another base: which of its settings follow the base, which stay, and which do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....advice.families import FamilyAdvice, advice_for
from ....advice.family_defaults import chosen_base
from ....config.job import setting_named
from ....config.load import read_job
from ....config.optimizer_args import finds_own_rate
from ....runs.compare.values import in_words
from ...train.checkpoint_family import FamilyFacts, facts_of


def move_to_base(values: dict[str, dict[str, Any]], source: Path | None,
                 checkpoint: Path) -> tuple[list[str], list[str]]:
    """Change the job's nested ``values``, made for ``source``, to train on ``checkpoint``; returns notes, and problems
    that prevent it. ``source`` is ``None`` if it is unknown.

    Settings at the default of their base take the default of the new one, and the notes name them. Settings that the
    user chose stay, and the notes name those with another usual value.
    """
    base = values.setdefault("base", {})
    before = facts_of(source, chosen_base(values)) if source is not None else None
    base["checkpoint"] = str(checkpoint)
    after = facts_of(checkpoint)
    if after.problem:
        return [], [after.problem]
    if before is None or not before.name or not after.name:
        return [f"The family of {checkpoint.name} is detected when the run starts, so the settings stay as they are."
                ], []
    if (before.name, before.base) == (after.name, after.base):
        return [], []
    notes = [f"{checkpoint.name} is {_called(after)}, the job was made for {_called(before)}."]
    if base.get("sdxl_base"):
        base["sdxl_base"] = None
        notes.append(f"{_label('base.sdxl_base')}: detected from the file, since another one was chosen for the "
                     "old base.")
    if before.name != after.name and base.get("vae"):
        base["vae"] = ""
        notes.append(f"{_label('base.vae')}: the checkpoint's own, since the job's was made for {before.name}.")
    notes += _defaults(values, before, after)
    notes += _without_effect(values, before, after)
    notes += _usual(values, _row(before), _row(after))
    return notes, []


def _defaults(values: dict[str, dict[str, Any]], before: FamilyFacts, after: FamilyFacts) -> list[str]:
    notes = []
    old, new = dict(before.defaults or {}), dict(after.defaults or {})
    for key in dict.fromkeys([*old, *new]):
        field, (group, name) = setting_named(key), key.split(".")
        was, now = old.get(key, field.default), new.get(key, field.default)
        held = values.setdefault(group, {})
        value = held.get(name, was)
        if was == now or value == now:
            continue
        if value == was:
            held[name] = now
            notes.append(f"{field.label}: {in_words(field, now)} instead of {in_words(field, was)}, the default of "
                         f"{_called(after)}.")
        else:
            notes.append(f"{field.label} stays {in_words(field, value)}; the default of {_called(after)} is "
                         f"{in_words(field, now)}.")
    return notes


def _without_effect(values: Mapping[str, Mapping[str, Any]], before: FamilyFacts, after: FamilyFacts) -> list[str]:
    """Return notes on settings that the user changed and that the new family ignores."""
    notes = []
    for key, reason in (after.unused or {}).items():
        field, (group, name) = setting_named(key), key.split(".")
        value = values.get(group, {}).get(name)
        if key not in (before.unused or {}) and value is not None and value != field.default:
            notes.append(f"{field.label} {in_words(field, value)}: {reason[0].lower()}{reason[1:]}")
    return notes


def _usual(values: Mapping[str, Any], before: FamilyAdvice, after: FamilyAdvice) -> list[str]:
    """Return notes on rates and ranks, which stay although other ones are usual on the new base."""
    job, notes = read_job(values)[0], []
    if not finds_own_rate(job.optimizer):
        for key, rate, was, now in (
                ("optimizer.unet_lr", job.optimizer.unet_rate, before.unet_lr, after.unet_lr),
                ("optimizer.text_encoder_lr", job.optimizer.text_encoder_rate, before.text_encoder_lr,
                 after.text_encoder_lr)):
            if was != now and rate != now:
                notes.append(f"{_label(key)} stays {rate:g}; {now:g} is usual on {after.name}.")
    if before.wider != after.wider:
        notes.append(f"{_label('network.network_dim')} stays {job.network.network_dim}; on {after.name} a rank holds "
                     f"{'more' if after.wider else 'less'} than on {before.name}.")
    return notes


def _row(facts: FamilyFacts) -> FamilyAdvice:
    return advice_for(facts.name, facts.base)


def _called(facts: FamilyFacts) -> str:
    return facts.base or facts.name


def _label(key: str) -> str:
    return setting_named(key).label
