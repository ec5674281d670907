"""A run in a few words, kept up to date by reading only the events that are new."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .events import ENDINGS, read_events
from .folder import RunFolder, all_runs
from .process import live_pid, noted_at
from .queue import claimed_device, queued_device

_LOSSES_IN_MEAN = 50


@dataclass
class RunSummary:
    """What the list of runs shows. ``state`` is as in ``RunStatus``; times are seconds since the epoch.

    ``pid`` is the worker's for as long as the process exists, a little longer than ``alive``. ``sample`` is the last
    sample picture, relative to the run folder. ``lora_name`` is what the files are called now, ``kept_state`` says
    whether there is a state to go on from and ``kept_step`` of which step, ``diverged`` whether the run failed because
    the loss did, ``aside`` whether it has left the GPU to the webui for a picture.
    """

    id: str
    name: str
    created: float
    command: str = "train"
    state: str = "waiting"
    pid: int | None = None
    device: str | None = None
    phase: str = ""
    step: int = 0
    total_steps: int | None = None
    epoch: int | None = None
    total_epochs: int | None = None
    loss: float | None = None
    seconds_left: float | None = None
    seconds_per_step: float | None = None
    saved: list[dict[str, Any]] = field(default_factory=list)
    sample: str = ""
    error: str = ""
    ended: float | None = None
    lora_name: str = ""
    kept_state: bool = False
    kept_step: int = 0
    diverged: bool = False
    steps_per_epoch: int | None = None
    aside: bool = False

    @property
    def alive(self) -> bool:
        """Whether a worker is at it."""
        return self.state in ("running", "paused")


class RunIndex:
    """Summaries of the runs in one folder. Safe to use from several threads."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self._lock = threading.Lock()
        self._readers: dict[str, _Reader] = {}

    def all(self) -> list[RunSummary]:
        """Every run, the newest first."""
        return [self.of(run) for run in all_runs(self.runs)]

    def of(self, run: RunFolder) -> RunSummary:
        """The summary of ``run`` as it is now."""
        with self._lock:
            reader = self._readers.get(run.id)
            if reader is None:
                reader = self._readers[run.id] = _Reader(run)
            return reader.read()


class _Reader:
    def __init__(self, run: RunFolder) -> None:
        self._run = run
        created, name = _from_id(run.id)
        self._summary = RunSummary(run.id, name, created, run.command)
        self._offset = 0
        self._losses: list[float] = []
        self._last = ""
        self._held = False
        self._over = False
        self._queued = 0.0

    def read(self) -> RunSummary:
        if self._over and _size(self._run.events_file) == self._offset:
            return self._summary
        noted = noted_at(self._run)  # in this order: a worker that is there now may have been noted just now,
        pid = live_pid(self._run)  # and what one that is gone has written is all there when the events are read
        if _size(self._run.events_file) != self._offset:
            events, self._offset = read_events(self._run.events_file, self._offset)
            for event in events:
                self._take(event)
        self._settle(pid, noted)
        return self._summary

    def _settle(self, pid: int | None, noted: float | None) -> None:
        """Take over what the files beside the events say.

        ``pid`` is the worker's while it is there, ``noted`` the time when it was started, if one was.
        """
        summary = self._summary
        ended = self._last in ENDINGS
        summary.pid = pid
        summary.kept_state = self._run.state_file.is_file()
        queued = queued_device(self._run)
        summary.device = queued or claimed_device(self._run)
        if self._last == "queued" and queued is not None:
            summary.state = "waiting"  # even while the worker before is still closing its files
        elif ended:
            summary.state = "failed" if self._last == "error" else self._last
        elif summary.pid is not None:
            summary.state = "paused" if self._held else "running"
        else:
            started = noted is not None and noted >= self._queued
            summary.state = "lost" if started else "waiting"
        self._over = ended and summary.pid is None  # whoever takes the run up again writes an event first

    def _take(self, event: dict[str, Any]) -> None:
        kind, summary = event["event"], self._summary
        self._last = kind
        if kind == "step":
            self._losses = [*self._losses, event["loss"]][-_LOSSES_IN_MEAN:]
            known = [loss for loss in self._losses if loss is not None]
            summary.loss = sum(known) / len(known) if known else None
            summary.step, summary.total_steps = event["step"], event["total_steps"]
            summary.epoch, summary.seconds_left = event.get("epoch"), event.get("seconds_left")
            summary.seconds_per_step = event.get("seconds_per_step")
        elif kind == "started":
            self._begin(event)
        elif kind == "queued":
            summary.error, summary.ended, summary.diverged, self._held = "", None, False, False
            self._queued = event["time"]
            summary.lora_name, summary.total_steps = event["name"], event["total_steps"]
        elif kind == "phase":
            summary.phase = event.get("text", "")
        elif kind == "epoch":
            summary.epoch, summary.total_epochs = event["epoch"], event.get("total_epochs")
        elif kind == "kept":
            summary.kept_step = event["step"]
        elif kind == "saved":
            summary.saved.append(event)
        elif kind == "sample":
            summary.sample = event["path"]
        elif kind in ("paused", "resumed"):
            self._held = kind == "paused"
        elif kind in ("held", "went_on"):
            summary.aside = bool(event.get("gpu_free"))
        elif kind in ENDINGS:
            summary.aside = False
            summary.error = event.get("text", "") if kind == "error" else ""
            summary.diverged = event.get("kind") == "diverged"
            summary.ended, summary.seconds_left = event.get("time"), None

    def _begin(self, event: dict[str, Any]) -> None:
        """A run that goes on makes steps again that came after its last state."""
        summary, from_step = self._summary, event.get("from_step", 0)
        summary.lora_name, summary.steps_per_epoch = event["name"], event["steps_per_epoch"]
        summary.total_epochs, summary.total_steps = event["total_epochs"], event["total_steps"]
        self._held = summary.aside = False
        if from_step < summary.step:
            self._losses, summary.step = [], from_step


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _from_id(run_id: str) -> tuple[float, str]:
    """The time and name in ``<date-time>-<name>``; 0 and the whole id if it is not written so."""
    try:
        return time.mktime(time.strptime(run_id[:15], "%Y%m%d-%H%M%S")), run_id[16:]
    except ValueError:
        return 0.0, run_id
