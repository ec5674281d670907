"""Weights of single images: how much one counts in the loss and how often it is seen, in ``<stem>.weight.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import DatasetError
from ..files.confine import Confined
from ..files.json_file import DamagedFileError, number, parse, read_object
from .problems import Problem, count_of, names_of

WEIGHT_ENDING = ".weight.json"
LEAST_WEIGHT, MOST_WEIGHT = 0.01, 100.0
MOST_REPEATS = 1000
MOST_BYTES = 4096


@dataclass(frozen=True)
class ImageWeight:
    """``weight`` multiplies the image's loss, ``repeats`` the repeats of its folder; 0 repeats leave it out."""

    weight: float = 1.0
    repeats: int = 1


EVERY_IMAGE = ImageWeight()


def weight_file(image: str) -> str:
    """The name or path of the weight file of ``image``, a name or path with an extension."""
    return image.rpartition(".")[0] + WEIGHT_ENDING


def checked(weight: float, repeats: int) -> ImageWeight:
    """The weight with these values. Raises ``DatasetError`` with the range if one is out of it."""
    if not LEAST_WEIGHT <= weight <= MOST_WEIGHT:
        raise DatasetError(f"The loss weight {weight:g} is out of range. Give a number from {LEAST_WEIGHT:g} to "
                           f"{MOST_WEIGHT:g}; 1 is the usual weight. To leave an image out, give it 0 repeats.")
    if not 0 <= repeats <= MOST_REPEATS:
        raise DatasetError(f"{repeats} repeats are out of range. Give a whole number from 0 to {MOST_REPEATS}.")
    return ImageWeight(float(weight), repeats)


def weight_of(values: Mapping[str, object]) -> ImageWeight:
    """The weight in the JSON object of a weight file. Raises ``DamagedFileError`` or ``DatasetError``."""
    unknown = sorted(values.keys() - {"weight", "repeats"})
    if unknown:
        raise DamagedFileError(f"“{unknown[0][:40]}” is not known; it can hold weight and repeats")
    repeats = number(values, "repeats", 1)
    if repeats != int(repeats):
        raise DamagedFileError(f"“repeats” is {repeats:g}, not a whole number")
    return checked(number(values, "weight", 1.0), int(repeats))


def weight_from(data: bytes) -> ImageWeight:
    """The weight in the bytes of a weight file. Raises ``DamagedFileError`` or ``DatasetError``."""
    values = parse(data)
    if not isinstance(values, dict):
        raise DamagedFileError("it is not a JSON object")
    return weight_of(values)


def weight_inside(confined: Confined, name: str) -> tuple[ImageWeight, str]:
    """The weight in the file ``name`` of an opened dataset, and why it cannot be used, empty if it can."""
    try:
        return weight_from(confined.read(name)), ""
    except FileNotFoundError:  # deleted meanwhile
        return EVERY_IMAGE, ""
    except OSError as problem:
        return EVERY_IMAGE, f"{name} cannot be read: {problem.strerror}."
    except (DamagedFileError, DatasetError) as problem:
        return EVERY_IMAGE, f"{name} cannot be used: {str(problem).rstrip('.')}. Set the weight again."


def bytes_of_weight(weight: ImageWeight) -> bytes | None:
    """The weight file's content; ``None`` if none is needed."""
    if weight == EVERY_IMAGE:
        return None
    return json.dumps({"weight": weight.weight, "repeats": weight.repeats}).encode()


def weights_in(folder: Path, images: Iterable[str]) -> tuple[dict[str, ImageWeight], list[Problem]]:
    """The weights of the images with the names ``images`` in ``folder``, by name, and problems with weight files.

    Images without a weight file are left out of the result.
    """
    with os.scandir(folder) as entries:
        files = {entry.name for entry in entries if entry.name.endswith(WEIGHT_ENDING)}
    if not files:
        return {}, []
    found: dict[str, ImageWeight] = {}
    problems: list[Problem] = []
    named = {image: weight_file(image) for image in images}
    for image, name in named.items():
        if name not in files:
            continue
        try:
            found[image] = weight_of(read_object(folder / name, MOST_BYTES))
        except (OSError, DamagedFileError, DatasetError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else str(problem).rstrip(".")
            problems.append(Problem("error", f"The weight file {folder / name} cannot be used: {reason}. Set the "
                                             "weight again in the Captions tab, or delete the file.", (folder / name,)))
    alone = [folder / name for name in sorted(files - set(named.values()))]
    if alone:
        problems.append(Problem("warning", f"{count_of(len(alone), 'weight file')} without an image of that name: "
                                           f"{names_of(alone)}.", tuple(alone)))
    return found, problems
