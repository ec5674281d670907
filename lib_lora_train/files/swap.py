"""Putting many small files in place of others, each at once and whole, quickly.

``os.replace`` alone is right but slow on ext4: replacing a file frees the old one's blocks, and giving up ten thousand
of them (with online discard: telling the disk so) takes 5 to 30 seconds; renaming a file whose blocks are not yet
allocated makes the kernel write it out at once. So the replaced file is kept under another name and is written over for
the next edit, and blocks are allocated before the rename. Elsewhere than on Linux ``os.replace`` is used as it is.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

TEMPORARY_PREFIX = ".lora_train-new-"
_MOST_SPARES = 40_000
_REUSED_AFTER_SECONDS = 3.0
"""A reader that opened a caption before it was replaced has long finished when its old file is written over."""

_KEEPS_SPARES = hasattr(os, "posix_fallocate")


@dataclass(frozen=True)
class Stamp:
    """What tells a file's state without reading it; a change of its content changes at least one of the four."""

    modified_ns: int
    changed_ns: int
    size: int
    inode: int

    @classmethod
    def of(cls, state: os.stat_result) -> Stamp:
        """The stamp of ``os.stat``'s answer."""
        return cls(state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino)


class SwapArea:
    """A folder for new files before they are put in place, and for old ones after; not for two threads at once.

    Files are staged first, all of them: a full disk is noticed while nothing is changed yet.
    """

    def __init__(self, folder: Path) -> None:
        self._device = folder.stat().st_dev
        with os.scandir(folder) as entries:
            names = sorted((entry.name for entry in entries), key=lambda name: (len(name), name))
        self._spares = deque(names)
        self._devices: dict[str, int] = {}
        self._prefix = f"{folder}{os.sep}"
        self._next = max((int(name) for name in names if name.isdecimal()), default=0) + 1

    def stage(self, target: str, data: bytes, mode: int | None) -> str:
        """Write ``data`` to a file that can be put in the place of ``target``; its path. Raises ``OSError``.

        ``mode`` are the permissions it gets, ``None`` the usual ones of a new file.
        """
        beside = target.rpartition(os.sep)[0]
        if beside not in self._devices:
            self._devices[beside] = os.stat(beside).st_dev
        if not _KEEPS_SPARES or self._devices[beside] != self._device:
            return _write_new(f"{beside}{os.sep}{TEMPORARY_PREFIX}{os.getpid()}-{self._number()}", data, mode)
        return self._write_over_spare(data, mode) or _write_new(f"{self._prefix}{self._number()}", data, mode)

    def put_in_place(self, staged: str, target: str) -> None:
        """Let ``target`` be ``staged``: a reader sees the old file or the new. Raises ``OSError``."""
        if _KEEPS_SPARES and staged.startswith(self._prefix) and len(self._spares) < _MOST_SPARES:
            name = str(self._number())
            with contextlib.suppress(OSError):  # no file yet, or a disk without hard links: nothing is spared then
                os.link(target, self._prefix + name, follow_symlinks=False)
                self._spares.append(name)
        os.replace(staged, target)

    def take_away(self, target: str) -> None:
        """Remove ``target``. Raises ``OSError``."""
        if _KEEPS_SPARES and len(self._spares) < _MOST_SPARES and os.stat(target).st_dev == self._device:
            name = str(self._number())
            os.rename(target, self._prefix + name)
            self._spares.append(name)
        else:
            os.unlink(target)

    def withdraw(self, staged: str) -> None:
        """Give up a staged file that was not put in place."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(staged)

    def _number(self) -> int:
        self._next += 1
        return self._next

    def _write_over_spare(self, data: bytes, mode: int | None) -> str | None:
        """Use the oldest spare; ``None`` if there is none that nobody else can see."""
        while self._spares:
            path = self._prefix + self._spares[0]
            try:
                file = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
            except OSError:
                self._spares.popleft()
                continue
            try:
                state = os.fstat(file)
                if state.st_nlink != 1 or not stat.S_ISREG(state.st_mode):
                    self._spares.popleft()
                    os.unlink(path)
                    continue
                if time.time() - state.st_ctime < _REUSED_AFTER_SECONDS:
                    return None
                self._spares.popleft()
                _fill(file, data, mode, state)
                return path
            finally:
                os.close(file)
        return None


def _write_new(path: str, data: bytes, mode: int | None) -> str:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        if _KEEPS_SPARES and data:
            _allocate(file, len(data))
        _fill(file, data, mode, os.fstat(file))
    except OSError:
        os.unlink(path)
        raise
    finally:
        os.close(file)
    return path


def _allocate(file: int, size: int) -> None:
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as problem:
        if problem.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise


def _fill(file: int, data: bytes, mode: int | None, state: os.stat_result) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view):]
    if state.st_size > len(data):
        os.ftruncate(file, len(data))
    if mode is not None and stat.S_IMODE(state.st_mode) != mode and hasattr(os, "fchmod"):
        os.fchmod(file, mode)
