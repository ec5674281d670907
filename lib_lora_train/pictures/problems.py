"""Problems of a dataset, as sentences for the user."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LEVELS = ("error", "warning", "note")


@dataclass(frozen=True)
class Problem:
    """A problem. ``error``: cannot be trained on; ``warning``: should be checked; ``note``: for information."""

    level: str
    text: str
    files: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(f"level must be one of {LEVELS}, not {self.level!r}")


def count_of(number: int, thing: str) -> str:
    """``1 image``, ``2 images``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def names_of(files: tuple[Path, ...] | list[Path], most: int = 5) -> str:
    """The first few names, and the number of further ones."""
    shown = ", ".join(file.name for file in files[:most])
    return shown if len(files) <= most else f"{shown} and {len(files) - most} more"
