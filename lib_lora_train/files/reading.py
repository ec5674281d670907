"""Reading files of unknown origin: only regular files of a limited size, nothing that never ends."""

from __future__ import annotations

import errno
from pathlib import Path

from ..errors import WriteError
from .confine import open_file

MOST_BYTES = 64 << 20
"""More than a hundred times the size of any text read here."""

NO_PLAIN_FILE = frozenset({errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.EINVAL, errno.ENOTDIR})
"""Errors on opening a folder, a link to itself or a device as a file: retrying does not help."""


def read_file(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Return the content of ``path``.

    Raises ``OSError``, also for a pipe or a device, and ``ValueError`` if it has more than ``most_bytes``.
    """
    with open_file(path) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError(f"it is longer than {most_bytes:,} bytes")
    return data


def read_text(path: Path, *, replace: bool = False, most_bytes: int = MOST_BYTES) -> str:
    """Return the text in ``path``, UTF-8 with or without a byte order mark, with ``\\n`` line ends.

    With ``replace`` invalid bytes become U+FFFD. Raises as ``read_file`` does; ``UnicodeDecodeError`` is a
    ``ValueError``.
    """
    text = read_file(path, most_bytes).decode("utf-8-sig", "replace" if replace else "strict")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def reason(problem: Exception) -> str:
    """Return why a file could not be read, as the end of a sentence, without the errno."""
    by_system = isinstance(problem, OSError) and not isinstance(problem, WriteError)
    said = str(getattr(problem, "strerror", None) or problem) if by_system else str(problem)
    return " ".join(said.split())[:300].rstrip(".") or type(problem).__name__
