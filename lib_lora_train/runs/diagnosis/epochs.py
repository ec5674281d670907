"""The measurements of a run's saved files, ``<run>/diagnosis/epochs.json``: what the choice of an epoch rests on.

    {"version": 1, "source", "source_text", "images": [path], "base": {…}, "files": [{…}], "strengths": [{…}],
     "strengths_of", "left_out", "doubt", "features", "missing", "skipped", "seconds"}

``base`` and each of ``files`` have ``name``, ``path``, ``step``, ``epoch``, ``final``, and measurements, each of which
may be missing or null:

    held_out, trained   loss of each image at each timestep: [[loss]]
    drift               change of predictions without the trigger word, relative to the error of the base
    likeness            0 to 1: how much of the tags of the set's captions a tagger finds in the images of the prompts
    flexibility         0 to 1: how many of the other tags of the prompts the tagger finds
    copies              0 to 1: the share of generated images that look like a single training image
    copied              names of these training images
    to_nearest, to_set  mean cosine of the image features of generated images to those of the nearest training image,
                        and to all of them

A line of ``strengths`` has ``strength`` and ``held_out``, measured with the file ``strengths_of``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...files.atomic import write_atomically
from ...files.json_file import DamagedFileError, number, read_object, text

EPOCHS_FILE = "diagnosis/epochs.json"
HELD_OUT, VERSIONS, MIRRORED, ENLARGED, NOTHING = "held_out", "versions", "mirrored", "enlarged", "nothing"
"""Sources of the held-out loss: images that were not trained on; other versions of training images, which were not
either; training images that are mirrored or enlarged; or none.
"""
VERSION = 1
_MOST_BYTES = 64 << 20

Losses = tuple[tuple[float, ...], ...]
"""Losses of each image at each timestep; NaN where the prediction was not a number."""


@dataclass(frozen=True)
class FileMeasures:
    """The measurements of one saved file, or of the base (step 0, without a name); see the module."""

    name: str
    path: str
    step: int
    epoch: int
    final: bool = False
    held_out: Losses = ()
    trained: Losses = ()
    drift: float | None = None
    likeness: float | None = None
    flexibility: float | None = None
    copies: float | None = None
    copied: tuple[str, ...] = ()
    to_nearest: float | None = None
    to_set: float | None = None


@dataclass(frozen=True)
class StrengthMeasure:
    """The held-out loss at ``strength``."""

    strength: float
    held_out: Losses


@dataclass(frozen=True)
class EpochMeasures:
    """All measurements of a run, files in the order of their steps. ``left_out``: held-out images that are not.

    ``doubt`` is a sentence: why images that count as held out may have been trained on; ``features``
    one that names the model of image features, or says why it did not work. ``missing`` are sentences: what could not
    be measured, why, and the way out; ``skipped`` the paths of saved files that could not.
    """

    source: str
    source_text: str = ""
    images: tuple[str, ...] = ()
    base: FileMeasures = dataclasses.field(default_factory=lambda: FileMeasures("", "", 0, 0))
    files: tuple[FileMeasures, ...] = ()
    strengths: tuple[StrengthMeasure, ...] = ()
    strengths_of: str = ""
    left_out: tuple[str, ...] = ()
    doubt: str = ""
    features: str = ""
    missing: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    seconds: float = 0.0


def write_measures(folder: Path, measures: EpochMeasures) -> None:
    """Write ``measures`` into the run ``folder``. Raises ``WriteError``."""
    path = folder / EPOCHS_FILE
    path.parent.mkdir(exist_ok=True)
    content = _plain({"version": VERSION, **dataclasses.asdict(measures)})
    write_atomically(path, json.dumps(content, ensure_ascii=True, allow_nan=False))


def read_measures(folder: Path) -> EpochMeasures | None:
    """The measurements in the run ``folder``; ``None`` if there are none.

    Raises ``DamagedFileError`` if the file is damaged or of a later version, ``OSError`` if it cannot be read now.
    """
    try:
        values = read_object(folder / EPOCHS_FILE, _MOST_BYTES)
    except FileNotFoundError:
        return None
    if number(values, "version") > VERSION:
        raise DamagedFileError("it was written by a later version")
    base = values.get("base")
    return EpochMeasures(
        source=text(values, "source"), source_text=text(values, "source_text", ""),
        images=_texts(values, "images"), base=_file(base if isinstance(base, dict) else {}),
        files=tuple(sorted((_file(one) for one in _objects(values, "files")), key=lambda one: one.step)),
        strengths=tuple(StrengthMeasure(float(number(one, "strength")), _losses(one, "held_out"))
                        for one in _objects(values, "strengths")),
        strengths_of=text(values, "strengths_of", ""), left_out=_texts(values, "left_out"),
        doubt=text(values, "doubt", ""), features=text(values, "features", ""),
        missing=_texts(values, "missing"), skipped=_texts(values, "skipped"),
        seconds=float(number(values, "seconds", 0.0)))


def mean_loss(losses: Losses) -> float:
    """The mean of all ``losses``; NaN without any, or if one is."""
    cells = [cell for image in losses for cell in image]
    return sum(cells) / len(cells) if cells else float("nan")


def _file(values: Mapping[str, Any]) -> FileMeasures:
    def share(name: str) -> float | None:
        value = number(values, name, None)
        return None if value is None else float(value)

    return FileMeasures(text(values, "name", ""), text(values, "path", ""), int(number(values, "step", 0)),
                        int(number(values, "epoch", 0)), values.get("final") is True, _losses(values, "held_out"),
                        _losses(values, "trained"), share("drift"), share("likeness"), share("flexibility"),
                        share("copies"), _texts(values, "copied"), share("to_nearest"), share("to_set"))


def _losses(values: Mapping[str, Any], name: str) -> Losses:
    found = values.get(name)
    rows = found if isinstance(found, list) else []
    if not all(isinstance(row, list) for row in rows):
        raise DamagedFileError(f"“{name}” is not a list of lists")
    return tuple(tuple(_loss(cell, name) for cell in row) for row in rows)


def _loss(cell: Any, name: str) -> float:
    if cell is None:
        return float("nan")
    return float(number({name: cell}, name))


def _objects(values: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    found = values.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise DamagedFileError(f"“{name}” is not a list of objects")
    return found


def _texts(values: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = values.get(name)
    return tuple(str(one) for one in found) if isinstance(found, list) else ()


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value
