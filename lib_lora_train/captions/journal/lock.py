"""One program at a time changes a dataset's captions: the tab and a tagging run may meet."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ...errors import DatasetError

_PATIENCE_SECONDS = 10.0


@contextlib.contextmanager
def only_one(file: Path) -> Iterator[None]:
    """Hold the lock ``file``; the system gives it back if this process dies.

    Raises ``DatasetError`` if another program holds it for longer than ten seconds.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    try:
        handle = os.open(file, flags, 0o666)
    except OSError as problem:
        raise DatasetError(f"{file} cannot be opened: {problem.strerror}. It keeps two programs from editing the "
                           "captions at once.") from problem
    try:
        _wait_for(handle, file)
        yield
    finally:
        os.close(handle)


def _wait_for(handle: int, file: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not _taken(handle):
        if time.monotonic() > deadline:
            raise DatasetError(f"Another program is writing captions in {file.parents[1]} (it holds {file.name}). "
                               "Wait until it is done and try again.")
        time.sleep(0.02)


if sys.platform == "win32":
    import msvcrt

    def _taken(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _taken(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
