"""Walking folders with arbitrary content: circular links, thousands of levels, pipes, unreadable files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from .confine import MOST_LEVELS

_NUMBER = re.compile(r"[0-9]+")


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a link to one; a link to itself is not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file or a link to one; a link to itself, a pipe or a device is not."""
    try:
        return entry.is_file()
    except OSError:
        return False


def why_no_file(entry: os.DirEntry[str]) -> str:
    """Return why an entry that is neither a folder nor a file cannot be used, as a clause to follow its name."""
    return "it is a link that leads nowhere" if entry.is_symlink() else "it is a pipe or a device, not a file"


def natural_key(name: str) -> tuple[str, str]:
    """A sort key that puts ``2.png`` before ``10.png`` and ignores case; no two names have the same."""
    return _NUMBER.sub(lambda number: number[0].zfill(20), name.lower()), name


def files_below(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield every file below ``folder``, following links.

    A folder is read once, whatever links lead to it, and not deeper than ``MOST_LEVELS``. What cannot be read is
    skipped.
    """
    waiting, seen = [(str(folder), 0)], set[tuple[int, int]]()
    while waiting:
        place, level = waiting.pop()
        try:
            state = os.stat(place)
            if (state.st_dev, state.st_ino) in seen:
                continue
            seen.add((state.st_dev, state.st_ino))
            with os.scandir(place) as found:
                entries = list(found)
        except OSError:
            continue
        yield from (entry for entry in entries if is_file(entry))
        if level < MOST_LEVELS:
            waiting += [(entry.path, level + 1) for entry in entries if is_folder(entry)]
