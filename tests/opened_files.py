"""Which files are opened while something is done: it shows what is read again, on a busy machine too."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_lists: list[list[Path]] = []
_installed: list[bool] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _lists and isinstance(arguments[0], (str, os.PathLike)):
        for opened in _lists:
            opened.append(Path(arguments[0]))


@contextlib.contextmanager
def opened_files() -> Iterator[list[Path]]:
    """The paths that this process opens inside of the block, those relative to an open folder as they are."""
    if not _installed:
        sys.addaudithook(_note)  # stays for as long as the process lives
        _installed.append(True)
    opened: list[Path] = []
    _lists.append(opened)
    try:
        yield opened
    finally:
        _lists.remove(opened)
