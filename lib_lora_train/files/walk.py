"""Walking over folders that may hold anything: links in a circle, thousands of levels, pipes, what cannot be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .confine import MOST_LEVELS


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a link to one; a link that leads to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file or a link to one; a link that leads to itself is none, nor is a pipe or a device."""
    try:
        return entry.is_file()
    except OSError:
        return False


def why_no_file(entry: os.DirEntry[str]) -> str:
    """Why what is neither a folder nor a file cannot be used, as a clause behind its name."""
    return "it is a link that leads nowhere" if entry.is_symlink() else "it is a pipe or a device, not a file"


def files_below(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Every file in ``folder`` and the folders in it, through links too.

    A folder is read once, whatever links lead to it, and no deeper than ``MOST_LEVELS``. What cannot be read is left
    out.
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
