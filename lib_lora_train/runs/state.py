"""Where a run stands, from its folder and its process: the one place that decides it.

    waiting       in the queue, or its worker is being started
    running       a worker is at it
    paused        its worker stands still until the user resumes it
    finished      stopped      failed      it ended, and its last event says so
    lost          its worker is gone and left no word, as after a power cut
    damaged       a file that says where it stands cannot be read
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..files.json_file import DamagedFileError
from ..files.reading import reason
from .events import ENDINGS
from .folder import RunFolder
from .process import noted_at, noted_worker, pid_of
from .queue import CLAIMED_FILE, QUEUED_FILE, read_request

Value = TypeVar("Value")

WAITING, RUNNING, PAUSED, FAILED, LOST, DAMAGED = "waiting", "running", "paused", "failed", "lost", "damaged"


@dataclass(frozen=True)
class Signs:
    """What the files beside a run's events say now, each of them read once.

    Read them before the events: a worker that is there now may have been noted just now, and what one that is gone
    has written is all there when the events are read. ``noted`` is when a worker was last noted, in seconds since the
    epoch; ``queued`` whether the run waits for its turn; ``pid`` the worker's while it is there; ``device`` the one
    that it waits for or was started on. ``damage`` is a clause on the first of these files that cannot be read.
    """

    pid: int | None
    noted: float | None
    queued: bool
    device: str | None = None
    damage: str = ""


def signs_of(run: RunFolder) -> Signs:
    """What ``run``'s files say now."""
    damage: list[str] = []
    noted = noted_at(run)
    worker = _read(run.process_file, lambda file: noted_worker(run), damage)
    queued, claimed = (_read(run.path / name, read_request, damage) for name in (QUEUED_FILE, CLAIMED_FILE))
    asked = queued or claimed
    return Signs(pid_of(run, worker), noted, queued is not None, asked[0] if asked is not None else None,
                 damage[0] if damage else "")


def _read(file: Path, read: Callable[[Path], Value], damage: list[str]) -> Value | None:
    """What ``read`` makes of ``file``; ``None`` if there is none, or if it is damaged, which ``damage`` is told."""
    try:
        return read(file)
    except FileNotFoundError:
        return None
    except (DamagedFileError, OSError) as problem:
        damage.append(f"{file.name} cannot be read: {reason(problem)}")
        return None


class History:
    """What a run's events say of its state, taken up one after the other."""

    def __init__(self) -> None:
        self._last = ""
        self._held = False
        self._queued = 0.0

    def take(self, event: dict[str, Any]) -> None:
        """Take up the next event."""
        self._last = event["event"]
        if self._last in ("paused", "resumed", "started", "queued"):
            self._held = self._last == "paused"
        if self._last == "queued":
            self._queued = event["time"]

    @property
    def ended(self) -> bool:
        """Whether the worker has said its last word."""
        return self._last in ENDINGS

    def state(self, signs: Signs) -> str:
        """The run's state as ``signs`` and the events have it."""
        if self._last == "queued" and signs.queued:
            return WAITING  # even while the worker before is still closing its files
        if self.ended:
            return FAILED if self._last == "error" else self._last
        if signs.pid is not None:
            return PAUSED if self._held else RUNNING
        return LOST if signs.noted is not None and signs.noted >= self._queued else WAITING
