"""Folder listings for the file browser: subfolders with image counts, and files with given extensions."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..config.groups.dataset import CAPTION_ENDINGS
from ..errors import DatasetError
from ..files.drives import is_hidden
from ..files.reading import reason
from ..files.walk import is_file, is_folder, natural_key
from .folders import split_folder_name
from .images import is_picture_name
from .masks.find import masks_among

PAGE = 60
"""Entries per page."""
THUMBNAILS = 4
"""Thumbnails per folder."""
MOST_ENTRIES = 50_000
"""The most names read from one folder."""
_MOST_COUNTED = 20_000
_SECONDS_OF_COUNTING = 1.5


@dataclass
class Entry:
    """A folder or file. ``images`` and ``captions`` are counts for the folder with its ``<repeats>_<concept>`` folders.

    They are ``None`` if not counted; with ``more``, there are more than that. ``thumbnails`` are image paths relative
    to the folder. ``problem`` is the reason why it cannot be read.
    """

    name: str
    path: str
    folder: bool
    images: int | None = None
    captions: int | None = None
    more: bool = False
    thumbnails: list[str] = field(default_factory=list)
    problem: str = ""


@dataclass
class Page:
    """The entries from ``start`` on, of ``total``; ``cut`` if the folder has more names than ``MOST_ENTRIES``."""

    entries: list[Entry]
    start: int
    total: int
    cut: bool


def page_of(folder: Path, *, endings: Sequence[str] = (), start: int = 0, part: str = "", hidden: bool = False,
            allowed: Callable[[str], bool] = lambda path: True, prefix: bool = False, most: int = PAGE) -> Page:
    """A page of the entries of ``folder``: folders first, then files with one of ``endings``, sorted by name.

    Only names that contain ``part``, or begin with it if ``prefix``, ignoring case, and paths that are ``allowed``;
    ``hidden`` includes hidden ones. Links are followed; broken and circular ones are skipped. Raises ``DatasetError``
    if ``folder`` cannot be read.
    """
    wanted = part.casefold()

    def fits(entry: os.DirEntry[str]) -> bool:
        name = entry.name.casefold()
        return (name.startswith(wanted) if prefix else wanted in name) and (hidden or not _hidden(entry))

    try:
        with os.scandir(folder) as found:
            names = list(itertools.islice(found, MOST_ENTRIES + 1))
    except OSError as problem:
        raise DatasetError(f"The folder {str(folder)[:400]} cannot be read: {reason(problem)}. Choose another one, or "
                           "give yourself the right to read it.") from problem
    kept = [(entry, is_folder(entry)) for entry in names[:MOST_ENTRIES] if fits(entry)]
    listed = [(entry, inside) for entry, inside in kept if (inside or _ends(entry, endings)) and allowed(entry.path)]
    listed.sort(key=lambda one: (not one[1], natural_key(one[0].name)))
    start = max(0, min(start, len(listed)))
    entries = [Entry(entry.name, entry.path, inside) for entry, inside in listed[start:start + most]]
    return Page(entries, start, len(listed), len(names) > MOST_ENTRIES)


def count_images(entries: Sequence[Entry], allowed: Callable[[str], bool] = lambda path: True,
                 seconds: float = _SECONDS_OF_COUNTING) -> None:
    """Fill in images, captions, thumbnails and problem of each folder in ``entries``, for at most ``seconds``.

    A link is followed only if its path is ``allowed``.
    """
    deadline = time.monotonic() + seconds
    for entry in entries:
        if entry.folder and time.monotonic() < deadline:
            _count(entry, allowed)


def _count(entry: Entry, allowed: Callable[[str], bool]) -> None:
    images: list[str] = []
    captions, read = 0, 0
    try:
        inner = [entry.path]
        for place in inner:
            here: dict[str, str] = {}
            with os.scandir(place) as found:
                for item in found:
                    read += 1
                    if read > _MOST_COUNTED:
                        break
                    if item.is_symlink() and not allowed(item.path):
                        continue
                    if is_picture_name(item.name) and is_file(item):
                        here[item.name] = os.path.relpath(item.path, entry.path).replace(os.sep, "/")
                    elif item.name.lower().endswith(CAPTION_ENDINGS):
                        captions += 1
                    elif place == entry.path and split_folder_name(item.name) and is_folder(item):
                        inner.append(item.path)
            masks = masks_among(here)
            images += [path for name, path in here.items() if name not in masks]
    except OSError as problem:
        entry.problem = f"cannot be read: {reason(problem)}"
        if not images:
            return
    entry.images, entry.captions, entry.more = len(images), min(captions, len(images)), read > _MOST_COUNTED
    entry.thumbnails = sorted(images, key=natural_key)[:THUMBNAILS]


def _hidden(entry: os.DirEntry[str]) -> bool:
    with contextlib.suppress(OSError):
        return is_hidden(entry)
    return True


def _ends(entry: os.DirEntry[str], endings: Sequence[str]) -> bool:
    return bool(endings) and entry.name.lower().endswith(tuple(endings)) and is_file(entry)
