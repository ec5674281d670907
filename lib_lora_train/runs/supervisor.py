"""The thread that starts queued runs, one at a time per device, and gets them the GPU.

It has no state that a restart would lose: queued and active runs are read from the run folders.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from ..errors import TrainLoraError, WriteError
from .control import PAUSE, RunControl
from .events import EventWriter
from .folder import TRAIN, WITH_BASE, RunFolder
from .hold import Hold, Reason
from .job import give_device, settle_device
from .queue import claim, give_back_claim, requeue_abandoned, startable, stopped_before_start
from .queue_hold import hold_if_failed
from .state import HELD, PAUSED, RUNNING
from .summary import RunIndex, RunSummary

THREAD_NAME = "train-lora-supervisor"
_BUSY_POLL_SECONDS = 1.0
_TURN_POLL_SECONDS = 0.1
_LINGER_SECONDS = 2.0
"""Users often generate several images in a row, and moving the models takes longer than this wait."""
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
        """The run no longer needs the GPU."""
        ...


class Loan(Protocol):
    """The webui's model as offered to one run."""

    @property
    def settled(self) -> bool:
        """Whether the run may start: it has been told whether the model is lent to it."""
        ...

    @property
    def covers_gpu(self) -> bool:
        """Whether the run shares the webui's model, so that the GPU need not be freed."""
        ...

    def give_back(self) -> None:
        """The run has ended."""
        ...


class Supervisor(threading.Thread):
    """Watches the runs of ``index``.

    ``start`` starts the worker of a run. ``lease`` frees a device for a run, ``None`` if nothing has to be freed;
    ``lend`` offers the webui's model to a run, and takes a callback for the answer. ``saved`` is called after LoRA
    files were written. Runs leave the GPU while ``wanted`` returns a reason why the webui needs it. ``gpus`` returns
    the devices for runs that may use any GPU, preferred ones first.
    """

    def __init__(self, index: RunIndex, start: Callable[[RunFolder], None], lease: Callable[[str], Lease | None],
                 saved: Callable[[list[RunSummary]], None],
                 lend: Callable[[RunFolder, Callable[[], None]], Loan | None] | None = None,
                 wanted: Callable[[], Reason | None] = lambda: None,
                 gpus: Callable[[], Sequence[str]] = tuple) -> None:
        super().__init__(name=THREAD_NAME, daemon=True)
        self.index = index
        self._start_worker, self._lease, self._saved, self._lend = start, lease, saved, lend
        self._wanted, self._gpus = wanted, gpus
        self._wake, self._closing = threading.Event(), threading.Event()
        self._leases: dict[str, Lease] = {}
        self._loans: dict[str, Loan | None] = {}
        self._offered: dict[str, tuple[int, int]] = {}
        """The state of each run's job file when the model was offered to it."""
        self._resuming: set[str] = set()
        self._turns: dict[str, Hold] = {}
        """The webui's request to each run that is held for it."""
        self._last_wanted = -math.inf
        self._seen_saved: dict[str, int] = {}
        self._first_check = True
        self._busy = True
        self._problem = self._hold_problem = ""

    def wake(self) -> None:
        """Check the runs at once, for example after one was queued or stopped."""
        self._wake.set()

    def resume(self, run: RunFolder) -> None:
        """Resume a paused run; if it needs the GPU, as soon as that is free again."""
        self._resuming.add(run.id)
        self.wake()

    def close(self) -> None:
        """End the thread and give all leases back; runs continue."""
        self._closing.set()
        self._wake.set()

    @property
    def closing(self) -> bool:
        """Whether the thread was told to end."""
        return self._closing.is_set()

    def leased(self) -> dict[str, bool]:
        """The leased devices, and whether each is free already."""
        return {device: lease.ready for device, lease in list(self._leases.items())}

    def run(self) -> None:
        """Check the runs, every second while there is one, until closed."""
        try:
            while not self._closing.is_set():
                self._check_safely()
                self._wake.wait(_TURN_POLL_SECONDS if self._turns else
                                _BUSY_POLL_SECONDS if self._busy else _IDLE_POLL_SECONDS)
                self._wake.clear()
        finally:
            for device in list(self._leases):
                self._leases.pop(device).give_back()
            self._end_loans(set())
            for run_id in list(self._turns):
                self._end_turn(run_id)

    def _check_safely(self) -> None:
        try:
            self.check()
            self._problem = ""
        except Exception as problem:  # the thread must survive an error: the webui's GPU depends on it
            if str(problem) != self._problem:  # reported once, not every second
                logging.getLogger(__name__).exception("Looking after the runs failed; it is tried again")
            self._problem = str(problem)

    def check(self) -> None:
        """One pass: report new files, release devices no longer needed, start what can be started."""
        now = time.monotonic()
        wanted_by_webui = self._wanted()
        self._last_wanted = now if wanted_by_webui is not None else self._last_wanted
        webuis_turn = now - self._last_wanted < _LINGER_SECONDS
        requeue_abandoned(self.index.runs)
        runs = self.index.all()
        self._report_new_files(runs)
        self._hold_after_failure(runs)
        alive = {run.id: run.device or "" for run in runs if run.pid is not None}
        wanted = self._next_by_device(set(alive.values()))
        self._busy = bool(alive or wanted)
        self._end_loans({*alive, *(run.id for run in wanted.values())})
        for run in wanted.values():
            self._offer_model(run)
        asleep = {run.id for run in runs if self._asleep(run)} - self._resuming
        asleep |= {run.id for run in runs if run.state == HELD and run.gave_gpu and webuis_turn}
        needed = {device for run_id, device in alive.items() if run_id not in asleep and self._needs_gpu(run_id)}
        needed |= {device for device, run in wanted.items() if self._needs_gpu(run.id)}
        for device in needed - set(self._leases):
            lease = self._lease(device)
            if lease is not None:
                self._leases[device] = lease
        for device, run in wanted.items():
            self._start_when_free(device, run)
        self._resume_waiting(runs)
        self._take_turns(runs, wanted_by_webui, webuis_turn)
        for device in set(self._leases) - needed:
            self._leases.pop(device).give_back()

    def _hold_after_failure(self, runs: list[RunSummary]) -> None:
        try:
            hold_if_failed(self.index.runs, [run for run in runs if run.command == TRAIN])
            self._hold_problem = ""
        except WriteError as problem:  # the disk is full, but the GPU has to be given back
            if str(problem) != self._hold_problem:
                logging.getLogger(__name__).warning("A run has failed, but the queue cannot be held: %s", problem)
            self._hold_problem = str(problem)

    def _offer_model(self, run: RunFolder) -> None:
        job = _stamp(run)
        if run.id in self._loans and self._offered.get(run.id) != job:  # its settings were changed in the queue
            self._end_loans(set(self._loans) - {run.id})
        if run.id not in self._loans:
            self._offered[run.id] = job
            self._loans[run.id] = self._lend(run, self.wake) if self._lend is not None else None

    def _needs_gpu(self, run_id: str) -> bool:
        loan = self._loans.get(run_id)
        return loan is None or (loan.settled and not loan.covers_gpu)

    def _asleep(self, run: RunSummary) -> bool:
        """Whether the user has paused ``run`` and it has released its GPU."""
        return run.state == PAUSED and run.gave_gpu and self._control(run.id).asked(PAUSE)

    def _end_loans(self, running: set[str]) -> None:
        for run_id in set(self._loans) - running:
            loan = self._loans.pop(run_id)
            self._offered.pop(run_id, None)
            if loan is not None:
                loan.give_back()

    def _resume_waiting(self, runs: list[RunSummary]) -> None:
        """Withdraw the pause of runs that should resume, if their GPU is free."""
        for run in runs:
            lease = self._leases.get(run.device or "")
            if run.id in self._resuming and (lease is None or lease.ready or lease.problem):
                self._control(run.id).withdraw(PAUSE)
                self._resuming.discard(run.id)

    def _take_turns(self, runs: list[RunSummary], wanted: Reason | None, webuis_turn: bool) -> None:
        """Make runs release a GPU that the webui needs, and return to it afterwards."""
        for run_id in set(self._turns) - {run.id for run in runs}:
            self._end_turn(run_id)
        for run in runs:
            lease = self._leases.get(run.device or "")
            has_gpu = run.state == RUNNING and run.command in WITH_BASE and lease is not None and lease.ready
            if run.id in self._turns:
                theirs = lease is None or lease.ready or bool(lease.problem)
                if run.pid is None or (theirs and not webuis_turn):
                    self._end_turn(run.id)
            elif has_gpu and wanted is not None:
                self._turns[run.id] = self._control(run.id).holds.ask(wanted, gives_gpu=True)

    def _end_turn(self, run_id: str) -> None:
        self._control(run_id).holds.withdraw(self._turns[run_id])  # first: if that fails, it is retried
        del self._turns[run_id]

    def _control(self, run_id: str) -> RunControl:
        return RunFolder(self.index.runs / run_id).control

    def _next_by_device(self, busy: set[str]) -> dict[str, RunFolder]:
        wanted: dict[str, RunFolder] = {}
        for run, request in startable(self.index.runs):
            device: str | None = request.device
            if request.device in {*busy, *wanted}:
                device = self._moved(run, {*busy, *wanted}) if request.any_gpu else None
            if device is not None:
                wanted[device] = run
        return wanted

    def _moved(self, run: RunFolder, taken: Collection[str]) -> str | None:
        """The GPU, none of those ``taken``, that a run for any GPU was moved to; ``None`` if all are taken."""
        free = next((gpu for gpu in self._gpus() if gpu not in taken), None)
        if free is not None:
            try:
                give_device(run, free, any_gpu=True)
            except TrainLoraError:  # claimed or withdrawn just now, or its job is damaged, which its worker reports
                return None
        return free

    def _start_when_free(self, device: str, run: RunFolder) -> None:
        loan = self._loans.get(run.id)
        if loan is not None and not loan.settled:
            return
        lease = self._leases.get(device)
        if lease is not None and not lease.ready and not lease.problem:
            return
        if not claim(run, device):
            return
        try:
            if run.command == TRAIN:
                settle_device(run, device)
            if self._offered.get(run.id) != _stamp(run):  # changed just now: what was offered may not fit
                give_back_claim(run)
                return
            if lease is not None and lease.problem:
                raise TrainLoraError(lease.problem)
            if not stopped_before_start(run):
                self._start_worker(run)
        except Exception as problem:
            logging.getLogger(__name__).exception("The run %s could not be started", run.id)
            with EventWriter(run.events_file) as events:
                events.write("error", {"text": str(problem), "detail": type(problem).__name__})

    def _report_new_files(self, runs: list[RunSummary]) -> None:
        new = []
        for run in runs:
            count = len(run.saved)
            if count > self._seen_saved.get(run.id, 0):
                new.append(run)
            self._seen_saved[run.id] = count
        if new and not self._first_check:
            self._saved(new)
        self._first_check = False


def _stamp(run: RunFolder) -> tuple[int, int]:
    """The state of a run's job file, to see whether it was changed."""
    try:
        state = run.job_file.stat()
    except OSError:
        return 0, 0
    return state.st_size, state.st_mtime_ns
