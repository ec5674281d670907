"""The thread that starts waiting runs, one at a time per device, and sees to it that they have the GPU.

It holds nothing that a restart could not find again: what waits and what runs is read from the run folders.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ..errors import TrainLoraError
from .events import EventWriter
from .folder import RunFolder
from .queue import claim, queued_device, requeue_abandoned, waiting_runs
from .summary import RunIndex, RunSummary

THREAD_NAME = "train-lora-supervisor"
_BUSY_POLL_SECONDS = 1.0
_IDLE_POLL_SECONDS = 5.0


class Lease(Protocol):
    """A GPU that is being freed, or is free, for a run."""

    @property
    def ready(self) -> bool:
        """Whether the GPU is free now."""
        ...

    @property
    def problem(self) -> str:
        """Why the GPU could not be freed; empty if nothing went wrong."""
        ...

    def give_back(self) -> None:
        """The run needs the GPU no longer."""
        ...


class Supervisor(threading.Thread):
    """Watches ``index``'s runs.

    ``start`` starts the worker of a run. ``lease`` frees a device for a run, ``None`` meaning that nothing has to be
    freed. ``saved`` is called after LoRA files were written.
    """

    def __init__(self, index: RunIndex, start: Callable[[RunFolder], None],
                 lease: Callable[[str], Lease | None], saved: Callable[[], None]) -> None:
        super().__init__(name=THREAD_NAME, daemon=True)
        self.index = index
        self._start_worker, self._lease, self._saved = start, lease, saved
        self._wake, self._closing = threading.Event(), threading.Event()
        self._leases: dict[str, Lease] = {}
        self._seen_saved: dict[str, int] = {}
        self._first_look = True
        self._busy = True
        self._problem = ""

    def wake(self) -> None:
        """Look at the runs at once, as after a run was queued or stopped."""
        self._wake.set()

    def close(self) -> None:
        """End the thread and give every lease back; runs go on."""
        self._closing.set()
        self._wake.set()

    @property
    def closing(self) -> bool:
        """Whether the thread was told to end."""
        return self._closing.is_set()

    def leased(self) -> dict[str, bool]:
        """The devices that are being held, and whether each is free already."""
        return {device: lease.ready for device, lease in list(self._leases.items())}

    def run(self) -> None:
        """Look at the runs, each second while there is one, until closed."""
        try:
            while not self._closing.is_set():
                self._look_safely()
                self._wake.wait(_BUSY_POLL_SECONDS if self._busy else _IDLE_POLL_SECONDS)
                self._wake.clear()
        finally:
            for device in list(self._leases):
                self._leases.pop(device).give_back()

    def _look_safely(self) -> None:
        try:
            self.look()
            self._problem = ""
        except Exception as problem:  # the thread has to outlive one bad look: the webui's GPU depends on it
            if str(problem) != self._problem:  # said once, not each second
                logging.getLogger(__name__).exception("Looking after the runs failed; it is tried again")
            self._problem = str(problem)

    def look(self) -> None:
        """One look: tell of new files, let go of devices that are done with, start what can be started."""
        requeue_abandoned(self.index.runs)
        runs = self.index.all()
        self._tell_of_new_files(runs)
        busy = {run.device or "" for run in runs if run.pid is not None}
        wanted = self._next_by_device(busy)
        self._busy = bool(busy or wanted)
        for device in busy | set(wanted):
            if device not in self._leases:
                lease = self._lease(device)
                if lease is not None:
                    self._leases[device] = lease
        for device, run in wanted.items():
            self._start_when_free(device, run)
        for device in set(self._leases) - busy - set(wanted):
            self._leases.pop(device).give_back()

    def _next_by_device(self, busy: set[str]) -> dict[str, RunFolder]:
        wanted: dict[str, RunFolder] = {}
        for run in waiting_runs(self.index.runs):
            device = queued_device(run)
            if device is not None and device not in busy:
                wanted.setdefault(device, run)
        return wanted

    def _start_when_free(self, device: str, run: RunFolder) -> None:
        lease = self._leases.get(device)
        if lease is not None and not lease.ready and not lease.problem:
            return
        if not claim(run):
            return
        try:
            if lease is not None and lease.problem:
                raise TrainLoraError(lease.problem)
            self._start_worker(run)
        except Exception as problem:
            logging.getLogger(__name__).exception("The run %s could not be started", run.id)
            with EventWriter(run.events_file) as events:
                events.write("error", {"text": str(problem), "detail": type(problem).__name__})

    def _tell_of_new_files(self, runs: list[RunSummary]) -> None:
        new = False
        for run in runs:
            count = len(run.saved)
            new = new or count > self._seen_saved.get(run.id, 0)
            self._seen_saved[run.id] = count
        if new and not self._first_look:
            self._saved()
        self._first_look = False


def running_supervisor(runs: Path) -> Supervisor | None:
    """The supervisor of ``runs`` that lives in this process already, as after a reload of the webui's UI."""
    for thread in threading.enumerate():
        if isinstance(thread, Supervisor) and thread.index.runs == runs and not thread.closing:
            return thread
    return None
