"""Messages for files that cannot be written: which file, why, and what to do."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import WriteError

_FULL = (errno.ENOSPC, errno.EFBIG)
_DENIED = (errno.EACCES, errno.EPERM)
_SHOWN_NAME = 80
DISK_PROBLEMS = frozenset({*_FULL, *_DENIED, errno.EDQUOT, errno.EROFS, errno.ENAMETOOLONG, errno.EIO, errno.EMFILE,
                           errno.ENFILE})
"""Errors that a disk or the system may cause at any time; none of them is a bug."""


@contextlib.contextmanager
def writing(path: Path, needed_bytes: int = 0) -> Iterator[None]:
    """Raise ``OSError`` from creating, writing, renaming or removing ``path`` inside as ``WriteError``.

    ``needed_bytes`` is the size being written, if known; it is reported if the disk is full.
    """
    try:
        yield
    except WriteError:
        raise
    except OSError as problem:
        sentence = cannot_write(path, problem, needed_bytes)
        error = WriteError(sentence, problem.errno, problem.strerror, str(path))
        error.needed_bytes = needed_bytes
        raise error from problem


def open_to_append(path: Path) -> BinaryIO:
    """Open ``path`` for appending, created if missing. Raises ``OSError``, also if it is not a regular file."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "It is not a regular file", str(path))
    return os.fdopen(descriptor, "ab")


def cannot_use(path: Path | str, problem: OSError) -> str:
    """As ``cannot_write``, if it is unknown whether ``path`` was being read or written."""
    if problem.errno in (*_DENIED, errno.EIO, errno.EMFILE, errno.ENFILE):
        return (f"{path} could not be used ({problem.strerror}). Make sure that you may read and write it and its "
                "folder, and that no other program has it open, then try again.")
    return cannot_write(path, problem)


def refused(problem: OSError, path: Path | str) -> str | None:
    """Return the message for an error of the disk or the system; ``None`` if ``problem`` is a bug.

    ``path`` is named if ``problem`` does not say which file it is about.
    """
    return cannot_use(problem.filename or path, problem) if problem.errno in DISK_PROBLEMS else None


def why_it_ended(problem: Exception, path: Path) -> str:
    """Return the message for a run ended by the unexpected ``problem``; ``path`` as for ``refused``."""
    refusal = refused(problem, path) if isinstance(problem, OSError) else None
    return refusal or f"The run ended because of an error in the program: {problem}"


def cannot_write(path: Path | str, problem: OSError, needed_bytes: int = 0) -> str:
    """Return a message that names the file ``path``, why it was not written, and what to do."""
    code, name = problem.errno, Path(path).name
    needed_bytes = needed_bytes or getattr(problem, "needed_bytes", 0)
    if code == errno.ENOSPC:
        return (f"The disk is full: {path} could not be written{_figures(Path(path), needed_bytes)}. Free some space "
                "on that disk and try again.")
    if code == errno.EDQUOT:
        return (f"Your quota on this disk is used up: {path} could not be written. Delete files that you no longer "
                "need there, or have the quota raised, and try again.")
    if code == errno.EROFS:
        return (f"The disk is read-only: {path} could not be written. Choose a folder on another disk, or make this "
                "one writable.")
    if code in _DENIED:
        return (f"{path} could not be written ({problem.strerror}). Make it and its folder writable for you; if it is "
                "open in another program, close it there, then try again.")
    if code == errno.ENAMETOOLONG:
        return (f"The name {name[:_SHOWN_NAME]}… or its path is too long: this disk cannot hold it "
                f"({len(name.encode('utf-8', 'surrogateescape'))} bytes; most disks allow 255). Use a shorter name.")
    return (f"{path} could not be written: {problem.strerror or problem}. Check the disk, or choose another folder, "
            "and try again.")


def _figures(path: Path, needed_bytes: int) -> str:
    """Return the needed and the free space, as the end of a sentence; empty if it would explain nothing."""
    folder = next((place for place in path.absolute().parents if place.is_dir()), None)
    try:
        free = shutil.disk_usage(folder).free if folder is not None else needed_bytes
    except OSError:
        return ""
    return f", which needs {_size(needed_bytes)} where {_size(free)} are free" if free < needed_bytes else ""


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"
