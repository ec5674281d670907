"""Named lists of block weights: built-in presets, and those of the user's file.

A preset is a line ``NAME:1,0,X,…`` as in lora-block-weight, so that its lists can be pasted. ``X`` is set by the
prompt's ``x=``; ``X+0.2`` and ``X-0.2`` are relative to it. A line that begins with ``#`` is a comment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigError
from ..files import reading
from .entries import Entries, listed, parse_entries
from .names import FULL_SD1, SHORT_SD1

FILE_NAME = "block_presets.txt"
_MOST_BYTES = 1 << 20


def _blocks(base: float, inner: Mapping[range, float], middle: float, outer: Mapping[range, float]) -> dict[str, float]:
    values = dict.fromkeys(FULL_SD1, 0.0) | {"BASE": base, "M00": middle}
    for side, parts in (("IN", inner), ("OUT", outer)):
        for numbers, value in parts.items():
            values |= {f"{side}{number:02d}": value for number in numbers}
    return values


_ALL, _NONE = range(12), range(0)
PRESETS: dict[str, dict[str, float]] = {
    "style: OUT": _blocks(1, {_ALL: 0.2}, 0.2, {_ALL: 1}),
    "concept: IN": _blocks(1, {_ALL: 1}, 1, {_ALL: 0.2}),
    "skin only": _blocks(1, {_NONE: 0}, 0, {_ALL: 1}),
    "posture only": _blocks(1, {_ALL: 1}, 0, {_NONE: 0}),
    "eyes and face": _blocks(1, {_NONE: 0}, 0, {range(4, 7): 1}),
    "INS": _blocks(1, {range(5): 1}, 0, {_NONE: 0}),
    "IND": _blocks(1, {range(5, 12): 1}, 0, {_NONE: 0}),
    "INALL": _blocks(1, {_ALL: 1}, 0, {_NONE: 0}),
    "MIDD": _blocks(1, {range(5, 12): 1}, 1, {range(7): 1}),
    "OUTD": _blocks(1, {_NONE: 0}, 0, {range(7): 1}),
    "OUTS": _blocks(1, {_NONE: 0}, 0, {range(7, 12): 1}),
    "OUTALL": _blocks(1, {_NONE: 0}, 0, {_ALL: 1}),
}
"""Lists for training (the guide's section Weighted training, and lora-block-weight's), over the 26 blocks of SD 1.x."""

_ONLY_TRAINED = ("style: OUT", "concept: IN", "skin only", "posture only", "eyes and face")
_IN_PROMPTS = "\n".join(f"{name}:{listed(values, SHORT_SD1)}" for name, values in PRESETS.items()
                        if name not in _ONLY_TRAINED)

DEFAULT_TEXT = f"""\
# NAME:one number for each block. 17: BASE, IN01,02,04,05,07,08, M00, OUT03-11. 26: BASE, IN00-11, M00, OUT00-11.
# SDXL: 12 or 20; a list of 17 or 26 is translated. X is what x= in the prompt says: <lora:penny:1:1:lbw=OUTX:x=0.5>
NONE:0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0
ALL:1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1
INX:1,1,1,1,1,1,1,1,X,X,X,X,X,X,X,X,X
OUTX:1,X,X,X,X,X,X,X,1,1,1,1,1,1,1,1,1
LINX:1,1,1,1,1,1,1,1,1,1,1,1,1,1,X,X,X,X,X,X,X,X,X,X,X,X
LOUTX:1,X,X,X,X,X,X,X,X,X,X,X,X,X,1,1,1,1,1,1,1,1,1,1,1,1
{_IN_PROMPTS}
ALL0.5:0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5
"""
"""The guide's INX, OUTX, LINX and LOUTX ("backwards": INX keeps IN and varies OUT), and lora-block-weight's own."""

_NAME = re.compile(r"[^:=,<>#\s]+")


def parse_presets(text: str) -> tuple[dict[str, Entries], list[str]]:
    """Every preset of ``text`` by name, and a sentence for each invalid line."""
    presets: dict[str, Entries] = {}
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, rest = (part.strip() for part in line.partition(":"))
        try:
            if not colon or not _NAME.fullmatch(name):
                raise ValueError("It begins with a name without spaces and a colon, as in OUTS:1,0,…")
            if name in presets:
                raise ValueError(f"{name} is defined twice.")
            presets[name] = parse_entries(rest)
        except ValueError as problem:
            problems.append(f"Line {number} ({line.strip()[:40]}) is not a preset. {problem}")
    return presets, problems


def read_text(file: Path) -> str:
    """The user's presets from ``file``; the default presets if it does not exist. Raises ``ConfigError``."""
    try:
        return reading.read_text(file, replace=True, most_bytes=_MOST_BYTES)
    except FileNotFoundError:
        return DEFAULT_TEXT
    except (OSError, ValueError) as problem:
        raise ConfigError(f"The block presets in {file} cannot be read: {reading.reason(problem)}. Put the file "
                          "right, or delete it to have the default ones again.") from problem
