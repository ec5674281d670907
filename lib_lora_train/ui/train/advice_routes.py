"""Routes for starting settings by family: presets, difficulties and block lists."""

from __future__ import annotations

import dataclasses
from typing import Any

from fastapi import APIRouter

from ...advice.dampening import images_with_dampening
from ...advice.difficulty import DIFFICULTIES, MALE_CHARACTERS, VEHICLES, Difficulty
from ...advice.families import SD1, FamilyAdvice, advice_for
from ...advice.of_job import dampening_of
from ...advice.presets import PRESETS, Preset, for_family
from ...advice.steps import propose_length, propose_save_every
from ...blocks.fit import translated
from ...blocks.of_file import SD1_BLOCKS, SDXL_BLOCKS, BlockSet
from ...blocks.presets import PRESETS as BLOCK_PRESETS
from ...config.groups.network import IA3, LIERLA
from ...config.load import read_job
from ..services import Services


def register(router: APIRouter, services: Services) -> None:
    """Add ``/presets``, ``/difficulties`` and ``/blocks``."""

    def presets(images_per_epoch: int = 0, family: str = "", base: str = "") -> dict[str, Any]:
        row = advice_for(family, base)
        return {"presets": [preset_for(preset, images_per_epoch, row) for preset in PRESETS]}

    def difficulties(images_per_epoch: int = 0, family: str = "", base: str = "") -> dict[str, Any]:
        row = advice_for(family, base)
        return {"difficulties": [difficulty_for(one.on(row), images_per_epoch) for one in DIFFICULTIES],
                "male_characters": MALE_CHARACTERS, "vehicles": VEHICLES}

    router.add_api_route("/difficulties", difficulties, methods=["GET"])
    router.add_api_route("/presets", presets, methods=["GET"])
    router.add_api_route("/blocks", block_lists, methods=["GET"])


def block_lists() -> dict[str, Any]:
    """Return the block names of each family, and the common block lists for it."""
    return {"families": {"sd1": _family_lists(SD1_BLOCKS), "sdxl": _family_lists(SDXL_BLOCKS)},
            "types_with_attention_only": (LIERLA, IA3)}


def _family_lists(blocks: BlockSet) -> dict[str, Any]:
    presets = {name: translated(values, blocks.full) if blocks.sdxl else values
               for name, values in BLOCK_PRESETS.items()}
    return {"full": blocks.full, "short": blocks.short, "presets": presets}


def difficulty_for(category: Difficulty, images_per_epoch: int) -> dict[str, Any]:
    """Return ``category`` with ``suggested_rank`` and, if ``images_per_epoch`` > 0, the ``values`` of its length."""
    values: dict[str, Any] = {}
    if images_per_epoch > 0:
        epochs = propose_length(images_per_epoch, 1, category.images_seen).epochs
        values = {"training": {"max_train_epochs": epochs, "max_train_steps": None},
                  "save": {"save_every_n_epochs": propose_save_every(epochs)}}
    return {**dataclasses.asdict(category), "suggested_rank": category.suggested_rank, "values": values}


def preset_for(preset: Preset, images_per_epoch: int, family: FamilyAdvice = SD1) -> dict[str, Any]:
    """Return ``{name, title, text, values, reasons}`` of ``preset``; ``reasons`` is ``{setting's key: sentence}``.

    ``images_per_epoch`` is the sum of images x repeats; if it is known, the values include the number of epochs and the
    save interval.
    """
    preset = for_family(preset, family)
    values: dict[str, dict[str, Any]] = {group: dict(content) for group, content in preset.values.items()}
    reasons = dict(preset.reasons)
    if images_per_epoch > 0 and not preset.on_top:
        arrows = dampening_of(read_job(preset.values)[0], family).arrows
        epochs = propose_length(images_per_epoch, 1, images_with_dampening(preset.images_seen, arrows)).epochs
        values.setdefault("training", {}).update(max_train_epochs=epochs, max_train_steps=None)
        values.setdefault("save", {})["save_every_n_epochs"] = propose_save_every(epochs)
        reasons["training.max_train_epochs"] = (
            f"{epochs} epochs of {images_per_epoch} show about {epochs * images_per_epoch} images in total, which is "
            f"usual for this kind of training.")
    return {"name": preset.name, "title": preset.title, "text": preset.text, "values": values, "reasons": reasons}
