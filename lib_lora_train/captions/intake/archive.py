"""Unpacking of a zip file of unknown origin: nothing leaves the folder, and nothing grows without limit."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ...errors import DatasetError
from .names import UnsafePathError, parts_of

MOST_ENTRIES = 20_000
MOST_UNPACKED_BYTES = 20 << 30
MOST_RATIO = 200
"""How many times the size of the zip its content may have. Images hardly shrink at all."""

_ALWAYS_FINE_BYTES = 256 << 20
_MOST_DIRECTORY_BYTES = MOST_ENTRIES * 1024
_TAIL_BYTES = 65_557
_END, _END64, _LOCATOR64 = b"PK\5\6", b"PK\6\6", b"PK\6\7"
_ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".cbz", ".cbr")
_UNREADABLE = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError, struct.error)

Take = Callable[[str, BinaryIO, int], None]
"""Takes a file of the zip: its relative path, its content, and its size in bytes."""
Leave = Callable[[str, str], None]
"""Lists a path that is skipped, with the reason as a clause."""


def is_archive(name: str) -> bool:
    """Whether the file name has the extension of an archive."""
    return name.lower().endswith(_ARCHIVES)


def unpack(path: Path, name: str, take: Take, leave: Leave) -> None:
    """Call ``take`` for each file in the zip ``path``, ``leave`` for each that is skipped; ``name`` is the zip's own.

    Raises ``DatasetError`` before anything is taken if it is no zip file, or too large when unpacked.
    """
    try:
        _check_directory(path)
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check_total(path, name, entries)
            for entry in entries:
                _unpack_one(archive, entry, take, leave)
    except _UNREADABLE as problem:
        raise DatasetError(f"{name} cannot be unpacked: {_words(problem)}. Unpack it yourself and drop the folder.") \
            from problem


def _check_directory(path: Path) -> None:
    """Refuse a directory of entries that would take hundreds of megabytes of memory. Raises ``ValueError``."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        tail = file.read()
        at = tail.rfind(_END)
        if at < 0 or len(tail) < at + 22:
            raise ValueError("it is not a zip file, or its end is missing")
        entries, directory_bytes = struct.unpack("<10xHL", tail[at:at + 16])
        if tail[at - 20:at - 16] == _LOCATOR64 and at >= 20:
            file.seek(struct.unpack("<8xQ", tail[at - 20:at - 4])[0])
            entries, directory_bytes = struct.unpack("<32xQQ", file.read(48))
    if entries > MOST_ENTRIES or directory_bytes > _MOST_DIRECTORY_BYTES:
        raise ValueError(f"it has more than {MOST_ENTRIES:,} files")


def _check_total(path: Path, name: str, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse a bomb by the sizes that the zip states; ``_unpack_one`` keeps it to them. Raises ``DatasetError``."""
    if len(entries) > MOST_ENTRIES:
        raise ValueError(f"it has more than {MOST_ENTRIES:,} files")
    total, packed = sum(entry.file_size for entry in entries), path.stat().st_size
    if total > MOST_UNPACKED_BYTES or total > max(_ALWAYS_FINE_BYTES, MOST_RATIO * packed):
        raise DatasetError(f"{name} was not unpacked: its {packed / 1e6:,.1f} MB would become {total / 1e6:,.0f} MB. "
                           f"Images never compress that well; the zip may be made to fill the disk.")


def _unpack_one(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, take: Take, leave: Leave) -> None:
    reason = _why_not(entry)
    if reason:
        leave(entry.filename, reason)
        return
    try:
        with archive.open(entry) as content:
            take(entry.filename, content, entry.file_size)  # type: ignore[arg-type]
    except UnsafePathError as problem:
        leave(entry.filename, problem.reason)
    except _UNREADABLE as problem:
        leave(entry.filename, f"it cannot be unpacked: {_words(problem)}")


def _why_not(entry: zipfile.ZipInfo) -> str:
    try:
        parts_of(entry.filename)
    except UnsafePathError as problem:
        return problem.reason
    if entry.flag_bits & 1:
        return "it is encrypted; unpack the zip with its password and drop the folder"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "it is a link"
    if is_archive(entry.filename):
        return "archives inside an archive are not unpacked"
    return ""


def _words(problem: Exception) -> str:
    if isinstance(problem, NotImplementedError):
        return "it is compressed in a way that is not supported"
    return " ".join(str(problem).split())[:200].rstrip(".") or "it is damaged"
