"""Names of files that come from outside, made safe for every system.

A name from a browser or a zip is untrusted: it may be reserved on Windows, too long, contain control characters, or be
the same as another one on a disk that ignores case.
"""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

from ...errors import DatasetError
from ...files.confine import RESERVED_ON_WINDOWS

LONGEST_NAME = 180
"""Bytes of a stem or folder name in UTF-8: leaves room for a number, ``-mask`` and the extension."""
MOST_LEVELS = 12
"""The most folders above an incoming file."""

_FORBIDDEN = frozenset('<>:"/\\|?*')
_INVISIBLE = ("Cc", "Cf", "Cs")
_RESERVED = RESERVED_ON_WINDOWS | {f"{port}{digit}" for port in ("com", "lpt") for digit in "¹²³"} | {
    "conin$", "conout$"}


class UnsafePathError(DatasetError):
    """A path that leads out of the folder; ``reason`` is a clause that can follow the path."""

    def __init__(self, path: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{path[:200]!r} was not added: {reason}.")


def parts_of(path: str) -> tuple[str, ...]:
    """The folders and the file name of a relative path with ``/`` or ``\\``, unchanged.

    Raises ``UnsafePathError`` if it is absolute, goes up, or is deeper than ``MOST_LEVELS``.
    """
    unified = path.replace("\\", "/")
    parts = tuple(part for part in unified.split("/") if part not in ("", "."))
    if unified.startswith("/") or (parts and len(parts[0]) == 2 and parts[0][1] == ":"):
        raise UnsafePathError(path, "its path is absolute, so it could be written anywhere")
    if ".." in parts:
        raise UnsafePathError(path, "its path leads out of the folder (..)")
    if not parts:
        raise UnsafePathError(path, "it has no name")
    if len(parts) - 1 > MOST_LEVELS:
        raise UnsafePathError(path, f"it is {len(parts) - 1} folders deep; the limit is {MOST_LEVELS}")
    return parts


def safe_name(name: str, fallback: str = "image") -> str:
    """``name``, a folder's or a file's without its extension, as a name that is valid and visible on every system.

    Unicode is composed (NFC), invisible signs are removed, forbidden ones become ``_``.
    """
    composed = unicodedata.normalize("NFC", name)
    kept = "".join("_" if sign in _FORBIDDEN else sign for sign in composed
                   if unicodedata.category(sign) not in _INVISIBLE)
    cleaned = _trimmed(shortened(_trimmed(kept), LONGEST_NAME)) or fallback
    return f"_{cleaned}" if cleaned.split(".")[0].strip().casefold() in _RESERVED else cleaned


def _trimmed(name: str) -> str:
    """Without leading dots, which hide a file, and trailing dots and spaces, which Windows drops."""
    return name.strip().lstrip(".").rstrip(". ").lstrip()


def shortened(text: str, most_bytes: int) -> str:
    """``text`` truncated to at most ``most_bytes`` in UTF-8, at the end of a character."""
    return text.encode("utf-8", "replace")[:most_bytes].decode("utf-8", "ignore")


def split_ending(name: str) -> tuple[str, str]:
    """Stem and extension in lower case; ``.jfif`` and ``.jpe`` become ``.jpg``, which they are."""
    suffix = PurePosixPath(name).suffix
    ending = suffix.strip().lower()
    return name.removesuffix(suffix), ".jpg" if ending in (".jfif", ".jpe") else ending


class FreeNames:
    """Allocates stems in one folder, ignoring case: of two files that would get the same name, one gets a number."""

    def __init__(self, taken: set[str]) -> None:
        """``taken`` are the names of the files in the folder, with extension."""
        self._taken = {_same(name) for name in taken}

    def free(self, stem: str, endings: tuple[str, ...]) -> str:
        """Reserve and return ``stem``, with a number unless it is free with every one of ``endings``."""
        candidate, number = stem, 2
        while any(_same(candidate + ending) in self._taken for ending in endings):
            candidate, number = f"{stem}-{number}", number + 1
        self._taken |= {_same(candidate + ending) for ending in endings}
        return candidate


def _same(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
