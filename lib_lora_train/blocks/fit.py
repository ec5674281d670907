"""Assigns the numbers of a list to the blocks of a LoRA file, also if the list was written for another family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .entries import listed
from .names import FULL_SD1, LISTS, SHORT_SD1, SHORT_SDXL, WITHOUT_BASE
from .of_file import BlockSet

_SHOWN = 4


@dataclass(frozen=True)
class Fitted:
    """``weights`` has a number for each of the 26 blocks; ``sentence`` says how the list was adapted, if it was."""

    weights: dict[str, float]
    sentence: str = ""


def fit(numbers: Sequence[float], blocks: BlockSet | None = None) -> Fitted:
    """The weight of each block from a list of ``numbers``, for a file with ``blocks`` (``None``: unknown).

    A list of the other family's length is translated: each block takes the number of the block at the same relative
    depth in the other UNet. Blocks missing from a short list are 0, as in lora-block-weight, unless all its UNet
    blocks are 1: then they are 1 too.
    """
    count = len(numbers)
    known = LISTS | {len(WITHOUT_BASE): WITHOUT_BASE}
    names = known[count] if blocks is None else blocks.lists.get(count, ())
    sentence = ""
    if names or blocks is None:
        named = dict(zip(names, numbers, strict=True))
    else:
        source = dict(zip(known[count], numbers, strict=True))
        names = blocks.full if count in (len(WITHOUT_BASE), *_FULL_COUNTS) else blocks.short
        named = translated({"BASE": 1.0} | source, names)
        sentence = (f"The list has {count} numbers, which is for another family. For {blocks.family} it was translated "
                    f"to {len(names)}: {listed(named, names)}.")
    named = {"BASE": 1.0} | named if names is WITHOUT_BASE else named
    rest = 1.0 if all(value == 1 for name, value in named.items() if name != "BASE") else 0.0
    missing = [] if blocks is None else [name for name in blocks.names if name not in named]
    if blocks is not None and missing and (rest or any(named[name] for name in names if name != "BASE")):
        more = f"are 0. A list of {len(blocks.listed)} numbers has a place for them"
        what = "stay at 1, as all others are" if rest else more
        sentence = f"{sentence} The list names {len(named)} blocks; {_some(missing)} {what}.".strip()
    return Fitted(dict.fromkeys(FULL_SD1, rest) | named, sentence)


_FULL_COUNTS = tuple(count for count, names in LISTS.items() if names not in (SHORT_SD1, SHORT_SDXL))


def translated(named: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """Translate one family's list to ``names``, blocks of the other: each takes the number of the nearest block by
    depth.

    Depth is measured between the first and the last block with attention; SD 1.x has six down and nine up, SDXL four
    and six. Blocks with attention take the numbers of blocks with attention.
    """
    to_sdxl = set(names) <= set(LISTS[20]) and not set(named) <= set(LISTS[20])
    from_short, to_short = (SHORT_SD1, SHORT_SDXL) if to_sdxl else (SHORT_SDXL, SHORT_SD1)
    values = {}
    for name in names:
        if not name.startswith(("IN", "OUT")):
            values[name] = named[name]
            continue
        side = [block for block in named if _side(block) == _side(name)
                and (name not in to_short or block in from_short)]
        depth = _depth(name, to_short)
        nearest = min(side, key=lambda block: (round(abs(_depth(block, from_short) - depth), 6), block != name))
        values[name] = named[nearest]
    return values


def _side(block: str) -> str:
    return block.rstrip("0123456789")


def _depth(block: str, short: Sequence[str]) -> float:
    """Relative depth: 0 up to the first block of its side in ``short``, 1 from the last on."""
    number, side = int(block[-2:]), _side(block)
    places = [int(name[-2:]) for name in short if _side(name) == side]
    if number <= places[0] or number >= places[-1]:
        return float(number >= places[-1])
    before = max(index for index, place in enumerate(places) if place <= number)
    between = (number - places[before]) / (places[before + 1] - places[before])
    return (before + between) / (len(places) - 1)


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names) if rest <= 1 else f"{', '.join(names[:_SHOWN])} and {rest} more"
