"""Block weights of a run's LoRA files: their blocks, presets for them, and the lists for prompts and runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from ...blocks.entries import listed, numbers_of
from ...blocks.fit import fit
from ...blocks.lists import training_list
from ...blocks.names import FULL_SD1
from ...blocks.of_file import BlockSet, blocks_of_file
from ...blocks.presets import DEFAULT_TEXT, FILE_NAME, parse_presets, read_text
from ...errors import CheckpointError, ConfigError, RunError
from ...files.atomic import write_atomically
from ...files.writing import cannot_write
from ...host.interface import DATA_FOLDER
from ...runs.folder import RunFolder
from ..services import Services

_HOLDS = {"BASE": "text encoder", "IN": "composition, silhouette, posture", "M00": "the middle",
          "OUT": "color, shadow, texture, details"}
_EYES = "; OUT04 to OUT06 eyes and face"  # known for SD 1.x only


class WeightsRequest(BaseModel):
    """A LoRA file saved by the run, by name, and a weight for each of its blocks."""

    file: str
    weights: dict[str, float] = Field(default_factory=dict)


def saved_file(services: Services, run: RunFolder, name: str) -> Path:
    """Return the file ``name`` saved by ``run``. Raises ``RunError`` if there is none or it is gone."""
    paths = {Path(event["path"]).stem: Path(event["path"]) for event in services.index.of(run).saved}
    path = paths.get(name)
    if path is None or not path.is_file():
        raise RunError(f"The run {run.id} has no file {name!r}.")
    return path


def blocks_of_saved(services: Services, run: RunFolder, name: str) -> BlockSet:
    """Return the blocks of a file of ``run``. Raises ``RunError`` if it is gone or has none."""
    try:
        blocks = blocks_of_file(saved_file(services, run, name))
    except CheckpointError as problem:
        raise RunError(str(problem)) from problem
    if not blocks.names:
        raise RunError(f"{name} has no layers that belong to a block, so there is nothing to weight.")
    return blocks


def names_of_blocks(path: Path) -> list[str]:
    """Return the names of the file's blocks; empty if it cannot be read, which is reported on use."""
    try:
        return list(blocks_of_file(path).names)
    except CheckpointError:
        return []


def file_weights(services: Services, run: RunFolder, file: str, preset: str, x: float) -> dict[str, Any]:
    """Return the blocks of ``file`` and their weights: 1, or those of ``preset`` with ``x`` for X."""
    blocks = blocks_of_saved(services, run, file)
    weights, sentence = dict.fromkeys(FULL_SD1, 1.0), ""
    if preset:
        presets = parse_presets(read_text(presets_file(services)))[0]
        if preset not in presets:
            raise RunError(f"There is no block preset {preset!r}. There are: {', '.join(presets)}.")
        fitted = fit(numbers_of(presets[preset], x), blocks)
        weights, sentence = fitted.weights, fitted.sentence
    holds = _HOLDS if blocks.sdxl else _HOLDS | {"OUT": _HOLDS["OUT"] + _EYES}
    return {"blocks": list(blocks.names), "family": blocks.family, "numbers": len(blocks.listed), "holds": holds,
            "weights": {name: weights[name] for name in blocks.names}, "sentence": sentence}


def weight_lists(services: Services, run: RunFolder, request: WeightsRequest) -> dict[str, Any]:
    """Return ``list`` for prompts and baking, ``train`` for the next run's learning rates, and ``sentences``."""
    blocks = blocks_of_saved(services, run, request.file)
    weights = dict.fromkeys(FULL_SD1, 1.0) | {name: value for name, value in request.weights.items()
                                              if name in blocks.names}
    train, sentences = training_list(weights, blocks)
    return {"list": listed(weights, blocks.listed), "train": train, "sentences": sentences}


def presets_file(services: Services) -> Path:
    """Return the file of the user's presets."""
    return services.host.data_dir / DATA_FOLDER / FILE_NAME


def presets_answer(text: str) -> dict[str, Any]:
    """Return ``text``, its presets by name (a weight for each of the 26 blocks, ``None`` for X), and its problems."""
    presets, problems = parse_presets(text)
    weights = {name: [None if math.isnan(weight) else weight
                      for weight in fit(numbers_of(entries, math.nan)).weights.values()]
               for name, entries in presets.items()}
    return {"text": text, "default": DEFAULT_TEXT, "problems": problems, "presets": weights}


def write_presets(services: Services, text: str) -> dict[str, Any]:
    """Store the presets. Raises ``ConfigError`` that lists every invalid line."""
    problems = parse_presets(text)[1]
    if problems:
        raise ConfigError(problems)
    file = presets_file(services)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, text.rstrip() + "\n")
    except OSError as problem:
        raise RunError(cannot_write(file, problem)) from problem
    return presets_answer(text)
