"""Replacing many small files fast, each atomically.

``os.replace`` alone is correct but slow on ext4: replacing a file frees the old one's blocks, and freeing ten thousand
of them (with online discard: reporting them to the disk) takes 5 to 30 seconds; renaming a file whose blocks are not
yet allocated makes the kernel write it out at once. So the replaced file is kept under another name and overwritten by
the next edit, and blocks are allocated before the rename. Plain ``os.replace`` is used except on Linux.
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

from .confine import Spot, open_spot

TEMPORARY_PREFIX = ".lora_train-new-"
_MOST_SPARES = 40_000
_REUSED_AFTER_SECONDS = 3.0
"""Age at which a replaced file is overwritten: readers that opened it before have finished long ago."""

_KEEPS_SPARES = hasattr(os, "posix_fallocate")


@dataclass(frozen=True)
class Stamp:
    """Identifies a file's state without reading it; changing the content changes at least one of the four."""

    modified_ns: int
    changed_ns: int
    size: int
    inode: int

    @classmethod
    def of(cls, state: os.stat_result) -> Stamp:
        """Return the stamp of an ``os.stat`` result."""
        return cls(state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino)


class SwapArea:
    """A folder for new files before they are put in place and for old ones afterwards; not thread-safe.

    All files are staged first, so a full disk is noticed before anything has changed. No link is followed, in the
    folder or on the way to a target.
    """

    def __init__(self, folder: Path) -> None:
        """Raises ``OSError`` if ``folder`` is missing or a link."""
        self._device = folder.stat().st_dev
        with os.scandir(folder) as entries:
            names = sorted((entry.name for entry in entries), key=lambda name: (len(name), name))
        self._spares = deque(names)
        self._area = open_spot(folder, "0")
        self._next = max((int(name) for name in names if name.isdecimal()), default=0) + 1

    def stage(self, target: Spot, data: bytes, mode: int | None) -> Spot:
        """Write ``data`` to a file that can replace ``target``, and return its spot. Raises ``OSError``.

        ``mode`` are its permissions, ``None`` for the defaults of a new file.
        """
        if not _KEEPS_SPARES or self._device_of(target) != self._device:
            return _write_new(target.beside(f"{TEMPORARY_PREFIX}{os.getpid()}-{self._number()}"), data, mode)
        return self._write_over_spare(data, mode) or _write_new(self._area.beside(str(self._number())), data, mode)

    def put_in_place(self, staged: Spot, target: Spot) -> None:
        """Replace ``target`` by ``staged`` atomically. Raises ``OSError``."""
        if _KEEPS_SPARES and staged.parent == self._area.parent and len(self._spares) < _MOST_SPARES:
            name = str(self._number())
            with contextlib.suppress(OSError):  # no file yet, or a disk without hard links: no spare then
                os.link(target.name, name, src_dir_fd=target.parent, dst_dir_fd=self._area.parent,
                        follow_symlinks=False)
                self._spares.append(name)
        os.replace(staged.name, target.name, src_dir_fd=staged.parent, dst_dir_fd=target.parent)

    def take_away(self, target: Spot) -> None:
        """Remove ``target``. Raises ``OSError``."""
        if _KEEPS_SPARES and len(self._spares) < _MOST_SPARES and self._device_of(target) == self._device:
            name = str(self._number())
            os.rename(target.name, name, src_dir_fd=target.parent, dst_dir_fd=self._area.parent)
            self._spares.append(name)
        else:
            os.unlink(target.name, dir_fd=target.parent)

    def withdraw(self, staged: Spot) -> None:
        """Delete a staged file that was not put in place; if that fails, it is left for the next recovery."""
        with contextlib.suppress(OSError):
            os.unlink(staged.name, dir_fd=staged.parent)

    def _device_of(self, target: Spot) -> int:
        return os.stat(os.path.dirname(target.path) if target.parent is None else target.parent).st_dev

    def _number(self) -> int:
        self._next += 1
        return self._next

    def _write_over_spare(self, data: bytes, mode: int | None) -> Spot | None:
        """Overwrite the oldest spare and return it; ``None`` if there is none that nobody else can see."""
        while self._spares:
            spare = self._area.beside(self._spares[0])
            try:
                file = os.open(spare.name, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=spare.parent)
            except OSError:
                self._spares.popleft()
                continue
            try:
                state = os.fstat(file)
                if state.st_nlink != 1 or not stat.S_ISREG(state.st_mode):
                    self._spares.popleft()
                    self.withdraw(spare)
                    continue
                if time.time() - state.st_ctime < _REUSED_AFTER_SECONDS:
                    return None
                self._spares.popleft()
                _fill(file, data, mode, state)
                return spare
            finally:
                os.close(file)
        return None


def _write_new(place: Spot, data: bytes, mode: int | None) -> Spot:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    file = os.open(place.name, flags, 0o666, dir_fd=place.parent)
    try:
        if _KEEPS_SPARES and data:
            _allocate(file, len(data))
        _fill(file, data, mode, os.fstat(file))
    except OSError:
        with contextlib.suppress(OSError):  # the original error says more
            os.unlink(place.name, dir_fd=place.parent)
        raise
    finally:
        os.close(file)
    return place


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
