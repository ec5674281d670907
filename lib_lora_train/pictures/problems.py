"""What was noticed about a dataset, as sentences for the user."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LEVELS = ("error", "warning", "note")


@dataclass(frozen=True)
class Problem:
    """One finding. ``error``: cannot be trained on; ``warning``: better look at it; ``note``: good to know."""

    level: str
    text: str
    files: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(f"level must be one of {LEVELS}, not {self.level!r}")


def count_of(number: int, thing: str) -> str:
    """``1 picture``, ``2 pictures``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def names_of(files: tuple[Path, ...] | list[Path], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(file.name for file in files[:most])
    return shown if len(files) <= most else f"{shown} and {len(files) - most} more"
