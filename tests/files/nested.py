"""Folders inside each other, deeper than a path can be written or Python can recurse."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def nested(folder: Path, levels: int, name: str = "d") -> Iterator[Path]:
    """``levels`` folders called ``name`` in ``folder``; they are gone afterwards, since pytest cannot remove them."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=here)
        inner = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    try:
        yield folder / name
    finally:
        subprocess.run(["rm", "-rf", str(folder / name)], check=True)
