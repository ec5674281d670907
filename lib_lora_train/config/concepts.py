"""Settings of single concept folders, written in the job file as ``10_penny: keep_tokens=2 flip_aug=true``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

EXAMPLE = "10_penny: dataset_repeats=3 keep_tokens=2 flip_aug=true"
_NUMBERS = {"dataset_repeats": (1, 10000), "keep_tokens": (0, 255)}
_WEIGHTS = (0.01, 100.0)
_SWITCHES = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}


@dataclass(frozen=True)
class ConceptSettings:
    """Overrides for one folder; ``None`` keeps the job's setting."""

    dataset_repeats: int | None = None
    keep_tokens: int | None = None
    flip_aug: bool | None = None
    loss_weight: float | None = None


AS_FOR_ALL = ConceptSettings()


def read_concepts(lines: Sequence[str]) -> dict[str, ConceptSettings]:
    """The settings of each folder, by its name. Raises ``ValueError`` for the first invalid line."""
    found: dict[str, ConceptSettings] = {}
    for line in lines:
        folder, colon, rest = line.rpartition(":")
        folder = folder.strip()
        if not colon or not folder:
            raise ValueError(f"{line!r} names no folder. Write it as {EXAMPLE}")
        if folder in found:
            raise ValueError(f"{folder!r} is named twice. Put all of its settings into one line.")
        own = AS_FOR_ALL
        for part in rest.replace(",", " ").split():
            own = _with_part(own, part, line)
        found[folder] = own
    return found


def _with_part(own: ConceptSettings, part: str, line: str) -> ConceptSettings:
    name, _, text = part.partition("=")
    if name == "flip_aug":
        if text.lower() not in _SWITCHES:
            raise ValueError(f"{line!r} has flip_aug={text}. Write flip_aug=true or flip_aug=false.")
        return dataclasses.replace(own, flip_aug=_SWITCHES[text.lower()])
    if name == "loss_weight":
        return dataclasses.replace(own, loss_weight=_weight(text, line))
    if name not in _NUMBERS:
        raise ValueError(f"{line!r} has {part!r}. A folder can have its own {', '.join(_NUMBERS)}, flip_aug and "
                         "loss_weight.")
    lowest, highest = _NUMBERS[name]
    if not text.isascii() or not text.isdigit() or not lowest <= int(text) <= highest:
        raise ValueError(f"{line!r} has {part!r}. It has to be a whole number from {lowest} to {highest}.")
    number = int(text)
    return (dataclasses.replace(own, keep_tokens=number) if name == "keep_tokens" else
            dataclasses.replace(own, dataset_repeats=number))


def _weight(text: str, line: str) -> float:
    lowest, highest = _WEIGHTS
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not lowest <= weight <= highest:
        raise ValueError(f"{line!r} has loss_weight={text}. It has to be a number from {lowest:g} to {highest:g}, such "
                         "as 0.5.")
    return weight
