"""Parses and writes lists of one number per block: ``1,0.5,X``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .names import FULL_SD1, LISTS, WITHOUT_BASE

Entries = tuple[str, ...]

_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)(?:E[+-]?\d+)?"
_ENTRY = re.compile(rf"[+-]?{_NUMBER}|X(?:[+-]{_NUMBER})?")


def parse_entries(text: str, counts: Sequence[int] = ()) -> Entries:
    """The entries of a list such as ``1,0.5,X``: numbers, or ``X``, ``X+0.2`` and ``X-0.2``.

    ``counts`` are accepted lengths besides the usual 12, 17, 20, 25 and 26. Raises ``ValueError`` if the list is
    invalid.
    """
    entries = tuple(entry.strip().upper() for entry in text.split(","))
    if len(entries) not in (*LISTS, len(WITHOUT_BASE), *counts):
        raise ValueError(f"It has {len(entries)} numbers; there are lists of 17 and 26 for SD 1, 12 and 20 for SDXL.")
    wrong = next((entry for entry in entries if not _ENTRY.fullmatch(entry)), None)
    if wrong is not None:
        raise ValueError(f"{wrong!r} is not a number, and not X, X+0.2 or X-0.2.")
    return entries


def is_number(text: str) -> bool:
    """Whether ``text`` is a single number in list notation."""
    return re.fullmatch(rf"[+-]?{_NUMBER}", text.strip().upper()) is not None


def has_x(entries: Entries) -> bool:
    """Whether any entry depends on ``x=``."""
    return any(entry.startswith("X") for entry in entries)


def numbers_of(entries: Entries, x: float) -> tuple[float, ...]:
    """``entries`` as numbers, with ``x`` substituted for X."""
    return tuple(x + float(entry[1:] or 0) if entry.startswith("X") else float(entry) for entry in entries)


def listed(weights: Mapping[str, float], names: Sequence[str] = FULL_SD1) -> str:
    """``weights`` as a list in the order of ``names``: ``1,0.5,…``."""
    return ",".join(f"{round(weights[name], 4):g}" for name in names)
