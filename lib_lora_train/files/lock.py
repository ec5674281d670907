"""Locks between processes, released when the holder ends, however it ends."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_POLL_SECONDS = 0.05
_LOCKED_BYTE = 1 << 20  # far behind the pid, which must stay readable to others on Windows


class LockHeldError(Exception):
    """Another process holds the lock; ``pid`` is 0 if it has not written it yet."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        super().__init__(f"process {pid}" if pid else "another process")


def lock_holder(file: Path) -> int | None:
    """Return the pid of the process that holds the lock ``file``; None if nobody does or it cannot be opened."""
    try:
        descriptor = os.open(file, os.O_RDWR)
    except OSError:
        return None
    try:
        if _try_lock(descriptor):
            return None
        return _read_pid(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def process_lock(file: Path, limit_seconds: float = 0.0,
                 on_wait: Callable[[int], None] = lambda pid: None) -> Iterator[None]:
    """Hold the lock ``file``, which is created if missing, never deleted, and contains its holder's pid.

    While another process holds it, ``on_wait`` is called once with its pid. Raises ``LockHeldError`` after
    ``limit_seconds``, and ``OSError`` if ``file`` is a link or cannot be opened.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    try:
        deadline = time.monotonic() + limit_seconds
        reported = False
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise LockHeldError(_read_pid(descriptor))
            if not reported:
                on_wait(_read_pid(descriptor))
                reported = True
            time.sleep(_POLL_SECONDS)
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def mark_in_use(file: Path) -> None:
    """Keep ``file`` open and share-locked for the life of this process, so that ``is_in_use`` sees it."""
    descriptor = os.open(file, os.O_RDONLY)
    if sys.platform != "win32":  # on Windows an open file is enough to keep its folder from being renamed
        fcntl.flock(descriptor, fcntl.LOCK_SH)


def is_in_use(file: Path) -> bool:
    """Whether another process has marked ``file``; always False on Windows, where renaming the folder fails instead."""
    if sys.platform == "win32":
        return False
    descriptor = os.open(file, os.O_RDONLY)
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _read_pid(descriptor: int) -> int:
    os.lseek(descriptor, 0, os.SEEK_SET)
    text = os.read(descriptor, 32).strip()
    return int(text) if text.isdigit() else 0
