"""Identifies a process, so that another one with the same pid is not mistaken for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from ..files.json_file import DamagedFileError, number, text

_TOLERANCE_SECONDS = 0.5
"""The webui and the worker may have versions of psutil that round differently."""


@dataclass(frozen=True)
class ProcessMark:
    """A process: its pid and creation time.

    ``created`` is in seconds since boot where the system provides that (Linux), and ``boot`` identifies the boot:
    setting the clock changes neither. Elsewhere it is in seconds since the epoch, and ``boot`` is empty.
    """

    pid: int
    created: float
    boot: str = ""

    @property
    def alive(self) -> bool:
        """Whether that process still exists."""
        try:
            now = mark_of(self.pid)
            same = now.boot == self.boot and abs(now.created - self.created) < _TOLERANCE_SECONDS
            return same and psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a JSON file."""
        return asdict(self)


def mark_from(note: Mapping[str, Any]) -> ProcessMark:
    """The mark among the values of a JSON file. Raises ``DamagedFileError`` if they are invalid."""
    pid = number(note, "pid")
    if not 0 < pid < 1 << 31 or pid != int(pid):
        raise DamagedFileError(f"its pid is {pid:g}")
    return ProcessMark(int(pid), number(note, "created"), text(note, "boot", ""))


def mark_of(pid: int) -> ProcessMark:
    """The process that currently has ``pid``. Raises ``psutil.NoSuchProcess`` if there is none."""
    if sys.platform == "linux":
        try:
            line = Path(f"/proc/{pid}/stat").read_text(errors="replace")
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            # the name, which may contain anything, is in parentheses; field 22 counts from the pid
            ticks = int(line.rpartition(")")[2].split()[19])
            return ProcessMark(pid, ticks / os.sysconf("SC_CLK_TCK"), boot)
        except (FileNotFoundError, ProcessLookupError) as problem:
            raise psutil.NoSuchProcess(pid) from problem
    return ProcessMark(pid, psutil.Process(pid).create_time())


def this_process() -> ProcessMark:
    """The current process."""
    return mark_of(os.getpid())
