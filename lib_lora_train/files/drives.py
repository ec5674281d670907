"""The top folders of this machine: the drives on Windows, otherwise the root."""

from __future__ import annotations

import os
import string
import sys

SYSTEM_FOLDERS = frozenset({"/dev", "/proc", "/run", "/sys"})
"""Linux system folders without user files, which are not listed."""

_HIDDEN_OR_SYSTEM = 0x2 | 0x4
"""FILE_ATTRIBUTE_HIDDEN and FILE_ATTRIBUTE_SYSTEM on Windows."""


def drives() -> list[str]:
    """Return the drives on Windows, such as ``C:\\``; elsewhere only ``/``. Accesses no drive."""
    if os.name != "nt":
        return ["/"]
    mask = _drive_mask()
    return [f"{letter}:\\" for number, letter in enumerate(string.ascii_uppercase) if mask >> number & 1]


def is_hidden(entry: os.DirEntry[str]) -> bool:
    """Whether the system's file manager would hide ``entry``. Raises ``OSError``."""
    if entry.name.startswith(".") or entry.path in SYSTEM_FOLDERS:
        return True
    attributes = getattr(entry.stat(follow_symlinks=False), "st_file_attributes", 0) if os.name == "nt" else 0
    return bool(attributes & _HIDDEN_OR_SYSTEM)


def _drive_mask() -> int:
    """Return one bit for each drive letter, from A; ``os.listdrives`` exists only since Python 3.12."""
    if sys.platform != "win32":
        return 0
    import ctypes

    return int(ctypes.windll.kernel32.GetLogicalDrives())
