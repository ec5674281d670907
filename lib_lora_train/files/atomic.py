"""Atomic file writes: a reader sees the old content or the new, never a part."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from .writing import writing


def write_atomically(path: Path, content: bytes | str, *, durable: bool = True) -> None:
    """Write ``content`` (text as UTF-8) to a temporary file beside ``path`` and rename it to ``path``.

    ``durable`` waits for fsync, which reproducible content does not need. Raises ``WriteError``, an ``OSError`` that
    says which file and what to do, with ``path`` unchanged.
    """
    data = content.encode() if isinstance(content, str) else content
    write_whole(path, lambda file: file.write(data), len(data), durable=durable)


def write_whole(path: Path, fill: Callable[[BinaryIO], object], needed_bytes: int = 0, *, durable: bool = True,
                check: Callable[[Path], None] | None = None) -> None:
    """As ``write_atomically``, for content that ``fill`` writes to the open file.

    ``needed_bytes`` is its size, 0 if unknown. ``check`` gets the new file before the rename and raises if it is
    invalid.
    """
    temporary = path.with_name(f"{_beginning(path)}{uuid.uuid4().hex[:8]}.tmp")
    try:
        with writing(path, needed_bytes):
            with temporary.open("wb") as file:
                fill(file)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            if check is not None:
                check(temporary)
            temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # the original error says more
            temporary.unlink()
        raise


def remove_leftovers(path: Path) -> None:
    """Remove temporary files of ``path`` left by a killed program.

    Only for files with a single writer. Raises ``OSError``.
    """
    with contextlib.suppress(FileNotFoundError), os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name.startswith(_beginning(path)) and entry.name.endswith(".tmp"):
                Path(entry.path).unlink(missing_ok=True)


def _beginning(path: Path) -> str:
    """Return the prefix of temporary names for ``path``, short enough in UTF-8 to fit wherever its own name does."""
    return f".{os.fsencode(path.name)[:100].decode('utf-8', 'ignore')}."
