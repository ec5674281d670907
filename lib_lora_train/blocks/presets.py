"""Presets of block weights for generation: what ``lbw=NAME`` in a prompt stands for.

A preset is a line ``NAME:1,0,X,…`` as in lora-block-weight, so that its lists can be pasted. ``X`` is filled in by
the prompt's ``x=``; ``X+0.2`` and ``X-0.2`` go with it. A line that begins with ``#`` is a note.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from .lists import FULL_SD1, FULL_SDXL, LISTS, SHORT_SD1, SHORT_SDXL

FILE_NAME = "block_presets.txt"
WITHOUT_BASE = len(FULL_SD1) - 1
"""The guide's long lists leave ``BASE`` out, which then stays at 1."""
LENGTHS = (len(SHORT_SDXL), len(SHORT_SD1), len(FULL_SDXL), WITHOUT_BASE, len(FULL_SD1))

DEFAULT_TEXT = """\
# NAME:one number for each block. 17: BASE, IN01,02,04,05,07,08, M00, OUT03-11. 26: BASE, IN00-11, M00, OUT00-11.
# SDXL: 12 or 20. X is what x= in the prompt says: <lora:penny:1:1:lbw=OUTX:x=0.5>
NONE:0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0
ALL:1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1
INX:1,1,1,1,1,1,1,1,X,X,X,X,X,X,X,X,X
OUTX:1,X,X,X,X,X,X,X,1,1,1,1,1,1,1,1,1
LINX:1,1,1,1,1,1,1,1,1,1,1,1,1,1,X,X,X,X,X,X,X,X,X,X,X,X
LOUTX:1,X,X,X,X,X,X,X,X,X,X,X,X,X,1,1,1,1,1,1,1,1,1,1,1,1
INS:1,1,1,1,0,0,0,0,0,0,0,0,0,0,0,0,0
IND:1,0,0,0,1,1,1,0,0,0,0,0,0,0,0,0,0
INALL:1,1,1,1,1,1,1,0,0,0,0,0,0,0,0,0,0
MIDD:1,0,0,0,1,1,1,1,1,1,1,1,0,0,0,0,0
OUTD:1,0,0,0,0,0,0,0,1,1,1,1,0,0,0,0,0
OUTS:1,0,0,0,0,0,0,0,0,0,0,0,1,1,1,1,1
OUTALL:1,0,0,0,0,0,0,0,1,1,1,1,1,1,1,1,1
ALL0.5:0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5
"""
"""The guide's INX, OUTX, LINX and LOUTX ("backwards": INX keeps IN and varies OUT), and lora-block-weight's own."""

Entries = tuple[str, ...]
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_ENTRY = re.compile(rf"[+-]?{_NUMBER}|X(?:[+-]{_NUMBER})?")
_NAME = re.compile(r"[^:=,<>#\s]+")


def parse_presets(text: str) -> tuple[dict[str, Entries], list[str]]:
    """Every preset of ``text`` by name, and a sentence for each line that is none."""
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
                raise ValueError(f"{name} stands further up already.")
            presets[name] = parse_entries(rest)
        except ValueError as problem:
            problems.append(f"Line {number} ({line.strip()[:40]}) is no preset. {problem}")
    return presets, problems


def parse_entries(text: str) -> Entries:
    """The entries of a list such as ``1,0.5,X``. Raises ``ValueError`` with a sentence if it is none."""
    entries = tuple(entry.strip().upper() for entry in text.split(","))
    if len(entries) not in LENGTHS:
        raise ValueError(f"It has {len(entries)} numbers; there are lists of 17 and 26 for SD 1, 12 and 20 for SDXL.")
    wrong = next((entry for entry in entries if not _ENTRY.fullmatch(entry)), None)
    if wrong is not None:
        raise ValueError(f"{wrong!r} is no number, and not X, X+0.2 or X-0.2.")
    return entries


def weights_of(entries: Entries, x: float) -> dict[str, float]:
    """A weight for each of the 26 blocks. Blocks that a short list has no place for are 0."""
    names = FULL_SD1[1:] if len(entries) == WITHOUT_BASE else LISTS[len(entries)]
    start = dict.fromkeys(FULL_SD1, 0.0) | ({"BASE": 1.0} if len(entries) == WITHOUT_BASE else {})
    return start | {name: _value(entry, x) for name, entry in zip(names, entries, strict=True)}


def _value(entry: str, x: float) -> float:
    if not entry.startswith("X"):
        return float(entry)
    return x + (float(entry[1:]) if len(entry) > 1 else 0.0)


def read_text(file: Path) -> str:
    """What stands in the user's presets ``file``; the default presets if there is none. Raises ``OSError``."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return DEFAULT_TEXT


def listed(weights: Mapping[str, float], names: tuple[str, ...]) -> str:
    """``weights`` as a list in the order of ``names``: ``1,0.5,…``."""
    return ",".join(f"{round(weights[name], 4):g}" for name in names)
