"""The summary of a run, updated from new events only."""

from __future__ import annotations

import bisect
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config.job import Job
from ..errors import ConfigError
from .compare.group import RunGroup, read_group
from .events import DIVERGED, ENDINGS, OUT_OF_MEMORY, examine_events, with_new_name
from .folder import TRAIN, RunFolder, all_runs
from .job import JobCheck, settings_of
from .notes import NoteReader
from .progress.time_left import TimeLeft
from .state import AT_WORK, DAMAGED, FAILED, HELD, LOST, PAUSED, History, Signs, signs_of

_LOSSES_IN_MEAN = 50


@dataclass
class RunSummary:
    """The data of a run in the list of runs. ``state`` is one of those in ``runs.state``; times are seconds since the
    epoch.

    ``pid`` is the worker's while the process exists, slightly longer than ``alive``. ``sample`` is the last sample
    image, relative to the run folder. ``lora_name`` is the current name of the LoRA files, ``has_training_state``
    whether there is a state to resume from and ``training_state_step`` its step, ``diverged`` whether the run failed
    because the loss did, ``out_of_memory`` because the memory was too small. ``held_for`` is the reason of a hold,
    such as "a picture in txt2img", ``gave_gpu`` whether it has left the GPU for that or for a pause.
    ``seconds_left`` includes the samples, files and measurements to come.
    ``usual_seconds_per_step`` is the median over all steps. ``seconds`` is the time at work until the last end,
    ``still_seconds`` the time on hold, not included in it. ``damage`` names the first unreadable file and why; empty if
    all are readable. ``name`` is the user's if there is one; ``starred`` and
    ``note`` are the user's; ``note_problem`` says why these cannot be read. ``group`` is the group it was queued with.
    ``place`` decides the order of the queue, ``None`` for a run that is not in it; there it may be ``on_hold``, or wait
    for ``any_gpu``. ``last_event`` is the time of the last event of its worker or of the queue.
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
    has_training_state: bool = False
    training_state_step: int = 0
    diverged: bool = False
    out_of_memory: bool = False
    steps_per_epoch: int | None = None
    held_for: str = ""
    gave_gpu: bool = False
    usual_seconds_per_step: float | None = None
    seconds: float = 0.0
    still_seconds: float = 0.0
    damage: str = ""
    starred: bool = False
    note: str = ""
    note_problem: str = ""
    group: RunGroup | None = None
    place: float | None = None
    on_hold: bool = False
    any_gpu: bool = False
    last_event: float = 0.0

    @property
    def has_failed(self) -> bool:
        """Whether it has ended with an error, or its worker is gone without a last event."""
        return self.state in (FAILED, LOST)

    @property
    def alive(self) -> bool:
        """Whether a worker is running."""
        return self.state in AT_WORK


class RunIndex:
    """Summaries of the runs in one folder. Safe to use from several threads."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self._lock = threading.Lock()
        self._readers: dict[str, _Reader] = {}

    def all(self) -> list[RunSummary]:
        """Every run, newest first."""
        return [self.of(run) for run in all_runs(self.runs)]

    def of(self, run: RunFolder) -> RunSummary:
        """The current summary of ``run``."""
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
        self._losses: list[float | None] = []
        self._paces: list[float] = []
        self._history = History()
        self._time_left = TimeLeft(self._settings)
        self._over = False
        self._damaged_events = ""
        self._job = JobCheck(run)
        self._name, self._note = name, NoteReader(run)

    def read(self) -> RunSummary:
        if self._over and _size(self._run.events_file) == self._offset and self._job.unchanged() and (
                self._note.unchanged() and self._run.state_file.is_file() == self._summary.has_training_state):
            return self._summary
        signs = signs_of(self._run)
        if _size(self._run.events_file) != self._offset:
            events, self._offset, damage = examine_events(self._run.events_file, self._offset)
            self._damaged_events = self._damaged_events or damage
            for event in events:
                self._history.take(event)
                self._time_left.take(event)
                self._take(event)
                if event["event"] != "renamed":  # written after the end
                    self._summary.last_event = float(event.get("time") or 0.0)
        self._settle(signs)
        return self._summary

    def _settle(self, signs: Signs) -> None:
        """Update from the files beside the events."""
        summary = self._summary
        summary.pid = signs.pid
        summary.has_training_state = self._run.state_file.is_file()
        summary.device, request = signs.device, signs.request
        summary.place = request.place if request is not None else None
        summary.on_hold = request is not None and request.on_hold
        summary.any_gpu = request is not None and request.any_gpu
        summary.state = self._history.state(signs)
        summary.held_for = self._history.held_for if summary.alive else ""
        summary.gave_gpu = self._history.gave_gpu and summary.state in (PAUSED, HELD)
        summary.seconds, summary.still_seconds = self._history.seconds, self._history.still_seconds
        if summary.alive and summary.command == TRAIN:
            summary.seconds_left = self._time_left.seconds(time.time())
        self._note.read()
        note = self._note.note
        summary.name, summary.starred, summary.note = note.name or self._name, note.starred, note.note
        summary.note_problem = self._note.problem
        if summary.group is None:
            summary.group = read_group(self._run)  # written before the run is queued, and never changed
        summary.damage = self._damage(signs)
        if summary.damage and not summary.alive:
            summary.state, summary.error = DAMAGED, summary.error or summary.damage
        self._over = self._history.ended and signs.pid is None  # a new worker of the run writes an event first

    def _settings(self) -> Job | None:
        try:
            return settings_of(self._run)
        except ConfigError:  # shown as damage
            return None

    def _damage(self, signs: Signs) -> str:
        events = self._run.events_file
        no_events = f"{events.name} is not a regular file" if os.path.lexists(events) and not events.is_file() else ""
        damage = self._job.damage() or no_events or self._damaged_events or signs.damage
        return f"This run is damaged: {damage}. Its other files are in {self._run.path}." if damage else ""

    def _take(self, event: dict[str, Any]) -> None:
        kind, summary = event["event"], self._summary
        if kind == "step":
            self._losses = [*self._losses, event.get("loss")][-_LOSSES_IN_MEAN:]
            known = [loss for loss in self._losses if loss is not None]
            summary.loss = sum(known) / len(known) if known else None
            summary.step, summary.total_steps = event["step"], event["total_steps"]
            summary.epoch = event.get("epoch")
            summary.seconds_per_step = event.get("seconds_per_step")
            if summary.seconds_per_step is not None:
                bisect.insort(self._paces, summary.seconds_per_step)
                summary.usual_seconds_per_step = self._paces[len(self._paces) // 2]
        elif kind == "started":
            self._begin(event)
        elif kind == "queued":
            summary.error, summary.ended, summary.diverged, summary.out_of_memory = "", None, False, False
            summary.lora_name, summary.total_steps = event["name"], event.get("total_steps")
        elif kind == "phase":
            summary.phase = event.get("text", "")
        elif kind == "epoch":
            summary.epoch, summary.total_epochs = event["epoch"], event.get("total_epochs")
        elif kind in ("state_saved", "kept"):
            summary.training_state_step = event["step"]
        elif kind == "saved":
            others = [one for one in summary.saved if one["path"] != event["path"]]
            summary.saved = [*others, event]  # a run that was interrupted while saving reports the file again
        elif kind == "renamed":
            summary.saved = [with_new_name(one, event) for one in summary.saved]
        elif kind == "sample":
            summary.sample = event["path"]
        elif kind in ENDINGS:
            summary.error = event.get("text", "") if kind == "error" else ""
            summary.diverged, summary.out_of_memory = (event.get("kind") == kind for kind in (DIVERGED, OUT_OF_MEMORY))
            summary.ended, summary.seconds_left = event.get("time"), None

    def _begin(self, event: dict[str, Any]) -> None:
        """A resumed run repeats the steps after its last state."""
        summary, from_step = self._summary, event.get("from_step", 0)
        summary.lora_name, summary.steps_per_epoch = event["name"], event["steps_per_epoch"]
        summary.total_epochs, summary.total_steps = event["total_epochs"], event["total_steps"]
        if from_step < summary.step:
            self._losses, summary.step = [], from_step


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _from_id(run_id: str) -> tuple[float, str]:
    """The time and name in ``<date-time>-<name>``; 0 and the whole id if it has another form."""
    try:
        return time.mktime(time.strptime(run_id[:15], "%Y%m%d-%H%M%S")), run_id[16:]
    except ValueError:
        return 0.0, run_id
