"""Naming a process so that another one with the same pid is not taken for it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil

_CLOCK_TOLERANCE_SECONDS = 2.0


@dataclass(frozen=True)
class ProcessMark:
    """A process: its pid, and when it was created in seconds since the epoch."""

    pid: int
    created: float

    @property
    def alive(self) -> bool:
        """Whether that very process still exists."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < _CLOCK_TOLERANCE_SECONDS
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


def this_process() -> ProcessMark:
    """The process that this runs in."""
    return ProcessMark(os.getpid(), psutil.Process().create_time())
