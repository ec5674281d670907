"""Measures the phases of a run from its events, without the time on hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..events import ENDINGS

PREPARING, ENCODING, TRAINING, SAVING, SAMPLES, VALIDATION, DIAGNOSIS, OTHER = (
    "preparing", "encoding", "training", "saving", "samples", "validation", "diagnosis", "other")
KINDS: Mapping[str, str] = {
    "packages": PREPARING, "dataset": PREPARING, "model": PREPARING, "memory": PREPARING, "captions": ENCODING,
    "latents": ENCODING, "faces": ENCODING, "train": TRAINING, "training": TRAINING, "save": SAVING,
    "sample": SAMPLES, "validation": VALIDATION, "diagnosis": DIAGNOSIS}
"""What the ``phase`` events belong to, by their names."""
LABELS: Mapping[str, str] = {
    PREPARING: "loading", ENCODING: "encoding images and captions", TRAINING: "training", SAVING: "saving",
    SAMPLES: "samples", VALIDATION: "validation", DIAGNOSIS: "diagnosis", OTHER: "other"}
_RECENT = 3


class PhaseClock:
    """Takes the events of a run in sequence. ``seconds`` are the totals by kind, over all parts of the run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.kind = ""
        """The kind of the phase that the run is in; empty before the first and after the end."""
        self.counts: dict[str, int] = {}
        """How often each kind has ended since the run was started or resumed."""
        self._recent: dict[str, list[float]] = {}
        self._began = 0.0
        self._holds: set[str] = set()
        self._held_since = self._held = 0.0

    def take(self, event: Mapping[str, Any]) -> None:
        """Process the next event."""
        name, time = event["event"], float(event.get("time") or 0.0)
        if name == "phase":
            self._end(time)
            self._begin(KINDS.get(str(event.get("name")), OTHER), time)
        elif name == "step" and self.kind not in ("", TRAINING):  # a file was saved within an epoch
            began = max(self._began, time - float(event.get("seconds_per_step") or 0.0))
            self._end(began)
            self._begin(TRAINING, began)
        elif name == "started":
            self.counts = {}
        elif name in ("held", "paused"):
            if not self._holds:
                self._held_since = time
            self._holds.add(str(event.get("token") or ""))
        elif name in ("resumed", "went_on"):
            self._resume(str(event.get("token") or ""), time)
        elif name in ENDINGS or name == "queued":
            self._end(time)

    def elapsed(self, now: float) -> float:
        """The seconds of the current phase until ``now``, without holds."""
        until = self._held_since if self._holds else now
        return max(0.0, until - self._began - self._held) if self.kind else 0.0

    def usual(self, kind: str) -> float:
        """The mean seconds of the last phases of ``kind``; 0 before the first has ended."""
        recent = self._recent.get(kind, [])
        return sum(recent) / len(recent) if recent else 0.0

    def _begin(self, kind: str, time: float) -> None:
        self.kind, self._began, self._held = kind, time, 0.0
        self._holds.clear()  # an interrupted run may never have reported the end of a hold

    def _resume(self, token: str, time: float) -> None:
        before = bool(self._holds)
        self._holds.discard(token)
        if before and not self._holds:
            self._held += max(0.0, time - self._held_since)

    def _end(self, time: float) -> None:
        if self.kind:
            seconds = self.elapsed(time)
            self.seconds[self.kind] = self.seconds.get(self.kind, 0.0) + seconds
            self._recent[self.kind] = [*self._recent.get(self.kind, []), seconds][-_RECENT:]
            self.counts[self.kind] = self.counts.get(self.kind, 0) + 1
        self.kind = ""
