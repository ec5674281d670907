"""A run's state, from its folder and its process: the one place that derives it.

    waiting       in the queue, or its worker is being started
    running       its worker is active
    paused        its worker is on hold until the user resumes it
    held          its worker is on hold for another reason, such as an image in the webui
    finished      stopped      failed      it has ended, according to its last event
    lost          its worker is gone without a last event, as after a power failure
    damaged       a file that determines the state cannot be read
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..files.json_file import DamagedFileError
from ..files.reading import reason
from .events import ENDINGS
from .folder import QUEUED_FILE, RunFolder
from .hold import USER, WEBUI, Reason
from .process import noted_at, noted_worker, pid_of
from .queue import CHANGING_FILE, CLAIMED_FILE, QueueRequest, read_request

Value = TypeVar("Value")

WAITING, RUNNING, PAUSED, HELD, FAILED, LOST, DAMAGED = (
    "waiting", "running", "paused", "held", "failed", "lost", "damaged")
FINISHED, STOPPED = ENDINGS[:2]
AT_WORK = (RUNNING, PAUSED, HELD)
"""The states with a worker."""
_WORKING = ("phase", "progress", "started", "step", "queued")
"""Events that are never written on hold: after them a worker that was killed meanwhile is no longer held."""
_EARLIER = {"paused": Reason(USER, "you"), "held": Reason(WEBUI, "an image")}
"""Holds by versions before requests had reasons."""


@dataclass(frozen=True)
class Signs:
    """The content of the files beside a run's events, each read once.

    Read them before the events: a worker that exists now may have been recorded just now, and everything a worker that
    is gone has written is there when the events are read. ``noted`` is when a worker was last recorded, in seconds
    since the epoch; ``queued``: whether the run is queued; ``pid``: the live worker's; ``device``: the one it is
    queued for or was started on. ``request`` is that of a queued run. ``damage`` is a clause on the first unreadable
    file.
    """

    pid: int | None
    noted: float | None
    queued: bool
    device: str | None = None
    request: QueueRequest | None = None
    damage: str = ""


def signs_of(run: RunFolder) -> Signs:
    """Read the files of ``run``."""
    damage: list[str] = []
    noted = noted_at(run)
    worker = _read(run.process_file, lambda file: noted_worker(run), damage)
    claimed = _read(run.path / CLAIMED_FILE, read_request, damage)
    queued = _queue_request(run, damage)
    asked = queued or claimed
    return Signs(pid_of(run, worker), noted, queued is not None, asked.device if asked is not None else None, queued,
                 damage[0] if damage else "")


def _queue_request(run: RunFolder, damage: list[str]) -> QueueRequest | None:
    """The request of a queued run, whose file has another name during a change."""
    before = len(damage)
    for name in (QUEUED_FILE, CHANGING_FILE, QUEUED_FILE):  # a change may have begun and ended meanwhile
        request = _read(run.path / name, read_request, damage)
        if request is not None or len(damage) > before:
            return request
    return None


def _read(file: Path, read: Callable[[Path], Value], damage: list[str]) -> Value | None:
    """The result of ``read`` for ``file``; ``None`` if it is missing or damaged, which is added to ``damage``."""
    try:
        return read(file)
    except FileNotFoundError:
        return None
    except (DamagedFileError, OSError) as problem:
        damage.append(f"{file.name} cannot be read: {reason(problem)}")
        return None


class History:
    """The state derived from a run's events, in sequence.

    ``seconds`` is the time at work and ``still_seconds`` the time on hold, over all parts that have ended.
    ``gave_gpu``: whether the run has left the GPU for its current holds.
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
        kind = event["event"]
        if kind == "renamed":  # written after the end, by the webui
            return
        self._last = kind
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
        """The reason of the latest hold that is not the user's; empty if there is none."""
        others = [reason.why for reason in self._holds.values() if reason.who != USER]
        return others[-1] if others else ""

    def state(self, signs: Signs) -> str:
        """The run's state from ``signs`` and the events."""
        if self._last == "queued" and signs.queued:
            return WAITING  # even while the previous worker is still closing its files
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
        if event["event"] == "went_on":  # with any token: only one was granted at a time
            self._holds = {token: reason for token, reason in self._holds.items() if reason.who == USER}
        else:
            self._holds.pop(str(event.get("token") or ""), None)
        if before and not self._holds:
            self._still += max(0.0, event["time"] - self._still_since)

    def _end(self, event: dict[str, Any]) -> None:
        self._holds.clear()
        still = event.get("still_seconds")
        if still is None:  # an earlier version, whose seconds include those
            still = self._still
            self.seconds -= min(still, event.get("seconds") or 0.0)
        self.seconds += event.get("seconds") or 0.0
        self.still_seconds += still
        self._still = 0.0
