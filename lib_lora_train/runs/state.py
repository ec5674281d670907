"""A run's state, from its folder and its process: the one place that derives it.

    waiting       in the queue, or its worker is being started
    running       a worker is at it
    paused        its worker stands still until the user resumes it
    held          its worker stands still for somebody else, such as a picture in the webui
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
from .hold import USER, WEBUI, Reason
from .process import noted_at, noted_worker, pid_of
from .queue import CLAIMED_FILE, QUEUED_FILE, read_request

Value = TypeVar("Value")

WAITING, RUNNING, PAUSED, HELD, FAILED, LOST, DAMAGED = (
    "waiting", "running", "paused", "held", "failed", "lost", "damaged")
AT_WORK = (RUNNING, PAUSED, HELD)
"""The states in which there is a worker."""
_WORKING = ("phase", "progress", "started", "step", "queued")
"""Events that nobody writes who stands still: after them a worker that was killed meanwhile is no longer held."""
_EARLIER = {"paused": Reason(USER, "you"), "held": Reason(WEBUI, "an image")}
"""Holds from before requests had reasons."""


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
    """Read ``run``'s files."""
    damage: list[str] = []
    noted = noted_at(run)
    worker = _read(run.process_file, lambda file: noted_worker(run), damage)
    queued, claimed = (_read(run.path / name, read_request, damage) for name in (QUEUED_FILE, CLAIMED_FILE))
    asked = queued or claimed
    return Signs(pid_of(run, worker), noted, queued is not None, asked[0] if asked is not None else None,
                 damage[0] if damage else "")


def _read(file: Path, read: Callable[[Path], Value], damage: list[str]) -> Value | None:
    """What ``read`` makes of ``file``; ``None`` if there is none or it is damaged, which is added to ``damage``."""
    try:
        return read(file)
    except FileNotFoundError:
        return None
    except (DamagedFileError, OSError) as problem:
        damage.append(f"{file.name} cannot be read: {reason(problem)}")
        return None


class History:
    """The state from a run's events, taken one after the other.

    ``seconds`` is how long was worked and ``still_seconds`` how long the run stood still, in all that has ended so far.
    ``gave_gpu`` says whether it has left the GPU for those that it stands still for.
    """

    def __init__(self) -> None:
        self.seconds = self.still_seconds = 0.0
        self.gave_gpu = False
        self._last = ""
        self._queued = 0.0
        self._holds: dict[str, Reason] = {}
        self._still_since = 0.0
        self._still = 0.0

    def take(self, event: dict[str, Any]) -> None:
        """Process the next event."""
        self._last = kind = event["event"]
        if kind in _EARLIER:
            self._stand_still(event)
        elif kind in ("resumed", "went_on"):
            self._resume(event)
        elif kind in _WORKING:
            self._holds.clear()
        elif self.ended:
            self._end(event)
        if kind == "queued":
            self._queued = event["time"]
            self._still = 0.0

    @property
    def ended(self) -> bool:
        """Whether the worker has written its last event."""
        return self._last in ENDINGS

    @property
    def held_for(self) -> str:
        """What the run is held for by others than the user, the latest first; empty if nothing."""
        others = [reason.why for reason in self._holds.values() if reason.who != USER]
        return others[-1] if others else ""

    def state(self, signs: Signs) -> str:
        """The run's state from ``signs`` and the events."""
        if self._last == "queued" and signs.queued:
            return WAITING  # even while the worker before is still closing its files
        if self.ended:
            return FAILED if self._last == "error" else self._last
        if signs.pid is not None:
            paused = any(reason.who == USER for reason in self._holds.values())
            return PAUSED if paused else HELD if self._holds else RUNNING
        return LOST if signs.noted is not None and signs.noted >= self._queued else WAITING

    def _stand_still(self, event: dict[str, Any]) -> None:
        if not self._holds:
            self._still_since, self.gave_gpu = event["time"], False
        earlier = _EARLIER[event["event"]]
        token = str(event.get("token") or "")
        self._holds[token] = Reason(str(event.get("who") or earlier.who), str(event.get("why") or earlier.why))
        self.gave_gpu |= bool(event.get("gave_gpu") or event.get("gpu_free") or event["event"] == "paused")

    def _resume(self, event: dict[str, Any]) -> None:
        before = bool(self._holds)
        if event["event"] == "went_on":  # of whatever token: only one was granted at a time
            self._holds = {token: reason for token, reason in self._holds.items() if reason.who == USER}
        else:
            self._holds.pop(str(event.get("token") or ""), None)
        if before and not self._holds:
            self._still += max(0.0, event["time"] - self._still_since)

    def _end(self, event: dict[str, Any]) -> None:
        self._holds.clear()
        still = event.get("still_seconds")
        if still is None:  # a version before, whose seconds have those in them
            still = self._still
            self.seconds -= min(still, event.get("seconds") or 0.0)
        self.seconds += event.get("seconds") or 0.0
        self.still_seconds += still
        self._still = 0.0
