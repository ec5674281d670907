"""Remembers dataset folders in a file of the extension: the recent ones and their trigger words.

Nothing is written to the image folders. A folder that was renamed or moved on its disk is recognized by its inode
number and the names and times of its images: a new folder often gets the number of one that was deleted.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ...errors import DatasetError
from ...files.atomic import write_atomically
from ...files.json_file import DamagedFileError, number, read_object, text
from ...files.reading import reason
from ...files.writing import writing

LONGEST_WORD = 200
_MOST_FOLDERS, _MOST_NAMES, _MOST_FORMER, _RECENT = 500, 12, 5, 8
_MOST_BYTES = 4 << 20
_ALIKE = 0.5


@dataclass(frozen=True)
class KnownFolder:
    """A dataset folder with its trigger word, ``None`` if the user has not set one, and what identifies it.

    ``was`` are its former paths. ``images`` has the names of some of its images and when each was last changed, in ns,
    0 if unknown. ``used`` is in seconds since the epoch.
    """

    folder: str
    word: str | None = None
    number: int = 0
    images: dict[str, int] = field(default_factory=dict)
    was: list[str] = field(default_factory=list)
    used: float = 0.0


class DatasetStore:
    """The folders in ``file``, which is created on first use. Thread-safe."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self.problem = ""

    def use(self, folder: Path, images: Sequence[str]) -> KnownFolder:
        """Return the entry of ``folder`` and mark it as used; ``images`` are paths of its images inside it.

        A moved folder is found by its former path. Raises ``WriteError``.
        """
        with self._lock:
            known = self._read()
            inside = {Path(path).name: _changed(folder / path) for path in images}
            found = _same(known, folder) or _moved(known, folder, inside)
            now = replace(found or KnownFolder(str(folder)), folder=str(folder), number=_number(folder),
                          images=dict(sorted(inside.items())[:_MOST_NAMES]), used=time.time())
            if found is not None and found.folder != now.folder:
                now = replace(now, was=[found.folder, *found.was][:_MOST_FORMER])
            if not known or known[0] != replace(now, used=known[0].used):
                self._write([now, *(one for one in known if one is not found)])
            return now

    def known(self, folder: Path) -> KnownFolder:
        """Return the entry of ``folder`` without storing anything."""
        with self._lock, contextlib.suppress(OSError):
            return _same(self._read(), folder) or KnownFolder(str(folder))
        return KnownFolder(str(folder))

    def set_word(self, folder: Path, word: str) -> None:
        """Store ``word`` as the trigger word of ``folder``; an empty one means that it has none.

        Raises ``DatasetError`` if it is too long or has several lines, and ``WriteError``.
        """
        word = word.strip()
        if len(word) > LONGEST_WORD or not word.isprintable():
            raise DatasetError(f"The trigger word is {word[:80]!r}. Use up to {LONGEST_WORD} characters on one line.")
        with self._lock:
            known = self._read()
            found = _same(known, folder) or KnownFolder(str(folder), number=_number(folder), used=time.time())
            self._write([replace(found, word=word), *(one for one in known if one is not found)])

    def recent(self) -> list[str]:
        """Return the most recently used folders, newest first."""
        with self._lock:
            return [known.folder for known in self._read()[:_RECENT]]

    def _read(self) -> list[KnownFolder]:
        try:
            content = read_object(self._file, _MOST_BYTES)
            folders = content.get("folders")
            if not isinstance(folders, list) or not all(isinstance(one, dict) for one in folders):
                raise DamagedFileError("it holds no list of folders")
            return [_from_json(one) for one in folders]
        except FileNotFoundError:
            return []
        except DamagedFileError as problem:
            self._put_aside(problem)
            return []

    def _put_aside(self, problem: DamagedFileError) -> None:
        """Keep a damaged file under another name and set ``problem``."""
        aside = self._file.with_name(f"{self._file.stem}.damaged.json")
        with writing(aside):
            if self._file.is_dir():
                raise IsADirectoryError(f"{self._file} is a folder")
            shutil.move(self._file, aside)
        self.problem = (f"The trigger words of your folders cannot be read: {self._file} was damaged, "
                        f"{reason(problem)}. It is kept as {aside.name}. Set the trigger words again.")

    def _write(self, folders: list[KnownFolder]) -> None:
        """Write the newest first; above the limit, entries without a word are dropped first."""
        while len(folders) > _MOST_FOLDERS:
            last = next((one for one in reversed(folders) if one.word is None), folders[-1])
            folders.remove(last)
        with writing(self._file):
            self._file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._file, json.dumps({"version": 1, "folders": [asdict(one) for one in folders]}, indent=1))


def _from_json(values: dict[str, Any]) -> KnownFolder:
    return KnownFolder(text(values, "folder"), text(values, "word", None), int(number(values, "number", 0)),
                       _times(values.get("images")), _texts(values.get("was")), number(values, "used", 0.0))


def _times(value: Any) -> dict[str, int]:
    """Read the images of an entry; earlier versions stored their names only."""
    if isinstance(value, dict):
        return {name: time_ns for name, time_ns in value.items() if isinstance(time_ns, int)}
    return dict.fromkeys(_texts(value), 0)


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def same_folder(one: str, other: str) -> bool:
    """Whether two paths are equal as text, ignoring case where the system does."""
    return os.path.normcase(one) == os.path.normcase(other)


def _same(known: list[KnownFolder], folder: Path) -> KnownFolder | None:
    return next((one for one in known if same_folder(one.folder, str(folder))), None)


def _moved(known: list[KnownFolder], folder: Path, images: Mapping[str, int]) -> KnownFolder | None:
    """Return the former entry of a moved folder: same inode number, old path gone, at least half of its images."""
    here = _number(folder)
    for one in known:
        alike = sum(name in images and changed in (0, images[name]) for name, changed in one.images.items())
        if here and one.number == here and alike >= _ALIKE * len(one.images) > 0 and not Path(one.folder).exists():
            return one
    return None


def _changed(image: Path) -> int:
    """Return when the file was last changed, in ns; 0 if it is gone."""
    try:
        return image.stat().st_mtime_ns
    except OSError:
        return 0


def _number(folder: Path) -> int:
    """Return the folder's inode number; 0 if it has none."""
    try:
        return folder.stat().st_ino
    except OSError:
        return 0
