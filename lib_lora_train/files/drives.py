"""Where a walk over the folders of this machine begins: the drives of Windows, or the root."""

from __future__ import annotations

import os
import string
import sys

SYSTEM_FOLDERS = frozenset({"/dev", "/proc", "/run", "/sys"})
"""Folders of Linux that hold no files of anybody; they are not listed."""

_HIDDEN_OR_SYSTEM = 0x2 | 0x4
"""FILE_ATTRIBUTE_HIDDEN and FILE_ATTRIBUTE_SYSTEM of Windows."""


def drives() -> list[str]:
    """The drives that Windows knows, such as ``C:\\``; elsewhere ``/`` alone. No drive is asked for anything."""
    if os.name != "nt":
        return ["/"]
    mask = _drive_mask()
    return [f"{letter}:\\" for number, letter in enumerate(string.ascii_uppercase) if mask >> number & 1]


def is_hidden(entry: os.DirEntry[str]) -> bool:
    """Whether the system's own file manager would leave ``entry`` out. Raises ``OSError``."""
    if entry.name.startswith(".") or entry.path in SYSTEM_FOLDERS:
        return True
    attributes = getattr(entry.stat(follow_symlinks=False), "st_file_attributes", 0) if os.name == "nt" else 0
    return bool(attributes & _HIDDEN_OR_SYSTEM)


def _drive_mask() -> int:
    """One bit for each letter, from A; ``os.listdrives`` is there from Python 3.12 on only."""
    if sys.platform != "win32":
        return 0
    import ctypes

    return int(ctypes.windll.kernel32.GetLogicalDrives())
