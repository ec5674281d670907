"""A lock that lets one program at a time change a dataset's captions: the tab or a tagging run."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path

from ...errors import DatasetError
from ...files.lock import LockHeldError, process_lock
from ...files.writing import cannot_write

_PATIENCE_SECONDS = 10.0


@contextlib.contextmanager
def only_one(file: Path) -> Iterator[None]:
    """Hold the lock ``file``; the system releases it if this process dies.

    Raises ``DatasetError`` if another program holds it for longer than ten seconds, or it cannot be opened.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(process_lock(file, _PATIENCE_SECONDS))
        except LockHeldError as holder:
            raise DatasetError(f"Another program is writing captions in {file.parents[1]} (it holds {file.name}, "
                               f"{holder}). Wait until it is done and try again.") from holder
        except OSError as problem:
            raise DatasetError(f"{cannot_write(file, problem)} It keeps two programs from editing the captions at "
                               "once.") from problem
        yield


def is_plain(file: Path) -> bool:
    """Whether ``file`` is a regular file (no link, pipe or folder) or does not exist."""
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except FileNotFoundError:
        return True
