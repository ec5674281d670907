"""The queue of runs: a file in the run folder marks a run as queued, with its device, place and hold.

    queued.json     the run is queued        claimed.json    a process has claimed it and is starting its worker
    changing.json   the run is queued, and a process is changing its settings or its place

Renaming the first to one of the others takes the run, so a run is never started and changed at the same time, by
whichever process. ``queue.json`` in the folder of all runs puts the whole queue on hold.

Between the claim and the record of the worker, a run is starting: requests to stop or pause it are files in its control
folder, for whoever comes next: the process that claimed it, its worker, or the queue if the claim is given back.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import RunError
from ..files.atomic import write_atomically
from ..files.json_file import DamagedFileError, flag, number, read_object, text
from ..files.reading import reason
from .control import ACTIONS, PAUSE, STOP
from .events import EventWriter, read_events
from .folder import QUEUED_FILE, TRAIN, RunFolder
from .queue_hold import queue_hold

CLAIMED_FILE = "claimed.json"
CHANGING_FILE = "changing.json"
_CLAIM_SECONDS = 60.0
_CHANGE_SECONDS, _POLL_SECONDS = 5.0, 0.02
"""How long to wait for another process that is changing the same run; a change takes milliseconds."""
_START_SECONDS = 1.0
"""How long to wait for a claimed run, which is returned to the queue if its settings have just been changed."""
_STEP_SECONDS = 0.001


@dataclass(frozen=True)
class QueueRequest:
    """The content of a queue file.

    ``device`` is ``cpu``, ``cuda:0`` …; ``asked`` is the time of the request and ``place`` decides the order, both in
    seconds since the epoch. A run that is ``on_hold`` is not started. ``any_gpu``: ``device`` may be changed to any GPU
    that is free.
    """

    device: str
    asked: float
    place: float
    on_hold: bool = False
    any_gpu: bool = False


def enqueue(run: RunFolder, device: str) -> None:
    """Queue ``run`` behind all others for ``device`` (``cpu``, ``cuda:0`` …). Raises ``WriteError``.

    A stop or pause requested from an earlier worker of the run is withdrawn.
    """
    for action in ACTIONS:
        run.control.withdraw(action)
    now = time.time()
    place = max([now, *(request.place + _STEP_SECONDS for _, request in queue_requests(run.path.parent))])
    _write(run.path / QUEUED_FILE, QueueRequest(device, now, place))


def queued_device(run: RunFolder) -> str | None:
    """The device of a queued run; ``None`` if it is not queued."""
    return _device(run.path / QUEUED_FILE)


def claimed_device(run: RunFolder) -> str | None:
    """The device that the queue started a run on; ``None`` if it did not."""
    return _device(run.path / CLAIMED_FILE)


def queue_requests(runs: Path) -> list[tuple[RunFolder, QueueRequest]]:
    """The queued runs in the order of the queue, including those on hold."""
    found = []
    if runs.is_dir():
        for entry in runs.iterdir():
            request = _request_of(entry)
            if request is not None:
                found.append((request.place, request.asked, entry.name, request))
    return [(RunFolder(runs / name), request) for _, _, name, request in sorted(found, key=lambda one: one[:3])]


def waiting_runs(runs: Path) -> Iterator[RunFolder]:
    """The queued runs in the order of the queue, including those on hold."""
    yield from (run for run, _ in queue_requests(runs))


def startable(runs: Path) -> list[tuple[RunFolder, QueueRequest]]:
    """The queued runs that are not on hold, in order. A queue on hold keeps only trainings from starting."""
    held = queue_hold(runs).on_hold
    return [(run, request) for run, request in queue_requests(runs)
            if not request.on_hold and not (held and run.command == TRAIN)]


def claim(run: RunFolder, device: str | None = None) -> bool:
    """Claim ``run`` from the queue to start it on ``device`` (``None``: on the one it is queued for).

    ``False`` if another process was first, is changing the run, or has put it on hold or on another device meanwhile.
    The rename is the claim, so everything that only the winner may do comes after it.
    """
    claimed = run.path / CLAIMED_FILE
    if not _take(run, claimed):
        return False
    try:
        request = read_request(claimed)
        held = request.on_hold or (run.command == TRAIN and queue_hold(run.path.parent).on_hold)
        if held or device not in (None, request.device):
            give_back_claim(run)
            return False
    except DamagedFileError:
        pass  # the run's summary reports it
    run.process_file.unlink(missing_ok=True)  # the previous worker's, if the run is resumed
    return True


def give_back_claim(run: RunFolder) -> None:
    """Return a claimed run to its place in the queue, and carry out what was requested of it meanwhile."""
    _put_back(run.path / CLAIMED_FILE)
    _carry_out_in_queue(run)


def is_starting(run: RunFolder) -> bool:
    """Whether a process has claimed ``run`` and no worker is recorded yet."""
    return ((run.path / CLAIMED_FILE).exists() and not run.process_file.exists()
            and _last_event(run).get("event", "queued") == "queued")


def ask_of_starting(run: RunFolder, action: str) -> bool:
    """Request ``stop`` or ``pause`` of a run that is starting; ``False`` if it is not. Raises ``WriteError``."""
    if not is_starting(run):
        return False
    run.control.request(action)
    _carry_out_in_queue(run)  # it may have been returned to the queue just before
    return True


def stopped_before_start(run: RunFolder) -> bool:
    """Whether a claimed run was asked to stop, which is recorded as its end: its worker must not be started then."""
    if not run.control.asked(STOP):
        return False
    _record_stop(run)
    return True


def _carry_out_in_queue(run: RunFolder) -> None:
    """Carry out the requests of a run that has been returned to the queue: remove it, or put it on hold."""
    if run.control.asked(STOP):
        withdraw(run)
    elif run.control.asked(PAUSE):
        with contextlib.suppress(RunError):  # claimed again: its worker pauses
            change_queued(run, lambda request: replace(request, on_hold=True))
            run.control.withdraw(PAUSE)


def change_queued(run: RunFolder, change: Callable[[QueueRequest], QueueRequest]) -> QueueRequest:
    """Apply ``change`` to a queued run, during which no process can start it; return the new request.

    ``change`` may also write to the run's other files, the settings for example. If it raises, the run stays queued as
    it was. Raises ``RunError`` if the run is not in the queue any more or its file is damaged, ``WriteError``.
    """
    changing = run.path / CHANGING_FILE
    begun = time.monotonic()
    while not _take(run, changing):
        waited = time.monotonic() - begun
        starts = waited < _START_SECONDS and is_starting(run)
        if not starts and not changing.exists() and not (run.path / QUEUED_FILE).exists():
            raise RunError(f"The run {run.id} is not in the queue any more, since it has been started or removed. "
                           "Nothing was changed.")
        if waited > _CHANGE_SECONDS:
            raise RunError(f"The run {run.id} is being changed by another process. Nothing was changed; try again.")
        time.sleep(_POLL_SECONDS)
    try:
        request = change(read_request(changing))
        _write(changing, request)
        return request
    except DamagedFileError as problem:
        raise RunError(f"{run.path / QUEUED_FILE} is damaged: {reason(problem)}. Remove the run from the queue, then "
                       "queue it again.") from problem
    finally:
        _put_back(changing)


def move_queued(run: RunFolder, before: str) -> None:
    """Move a queued run in front of the queued run ``before``, or behind all others if that is empty.

    Raises ``RunError`` if one of the two is not in the queue any more.
    """
    others = [(other, request) for other, request in queue_requests(run.path.parent) if other.id != run.id]
    index = next((number for number, (other, _) in enumerate(others) if other.id == before), len(others))
    if before and index == len(others):
        raise RunError(f"The run {before[:200]} is not in the queue any more, so nothing was moved.")
    place = _between(others[index - 1][1].place if index else None,
                     others[index][1].place if index < len(others) else None)
    if place is None:  # no number left between the two
        first = min(time.time(), *(request.place for _, request in others)) - len(others) - 1
        for number, (other, _) in enumerate(others):
            change_queued(other, lambda request, number=number: replace(  # type: ignore[misc]
                request, place=first + number + (number >= index)))
        place = first + index
    change_queued(run, lambda request: replace(request, place=place))


def ask_again(run: RunFolder, device: str, *, steps: int, total_steps: int | None, name: str) -> None:
    """Queue an ended run again, continuing after ``steps`` and saving as ``name``."""
    with EventWriter(run.events_file) as events:
        events.write("queued", {"steps": steps, "total_steps": total_steps, "name": name})
    enqueue(run, device)


def withdraw(run: RunFolder) -> bool:
    """Remove a run from the queue and record that it was stopped; ``False`` if it is not queued."""
    deadline = time.monotonic() + _CHANGE_SECONDS
    while True:
        try:
            (run.path / QUEUED_FILE).unlink()
            break
        except FileNotFoundError:
            if not (run.path / CHANGING_FILE).exists() or time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
    _record_stop(run)
    return True


def _record_stop(run: RunFolder) -> None:
    """Write the last event of a run that was stopped without a worker."""
    last = _last_event(run)
    with EventWriter(run.events_file) as events:
        events.write("stopped", {"steps": last.get("steps", 0), "seconds": 0.0})


def requeue_abandoned(runs: Path) -> None:
    """Requeue runs whose claimer died before the start of the worker, or whose change was interrupted."""
    for file in runs.glob(f"*/{CLAIMED_FILE}"):
        run = RunFolder(file.parent)
        started = run.process_file.exists() or _last_event(run).get("event", "queued") != "queued"
        if not started and _age(file) > _CLAIM_SECONDS:
            _requeue(file)
    for file in runs.glob(f"*/{CHANGING_FILE}"):
        if _age(file) > _CLAIM_SECONDS:
            _requeue(file)


def _requeue(taken: Path) -> None:
    """Rename an abandoned queue file back, with its place, hold and choice of GPU."""
    with contextlib.suppress(FileNotFoundError):  # another process was first
        taken.replace(taken.with_name(QUEUED_FILE))
        _carry_out_in_queue(RunFolder(taken.parent))


def read_request(file: Path) -> QueueRequest:
    """The content of a queue file. Raises ``FileNotFoundError`` if there is none, ``DamagedFileError``."""
    note = read_object(file)
    device, asked = text(note, "device"), number(note, "asked")
    return QueueRequest(device, asked, number(note, "place", asked), "on_hold" in note and flag(note, "on_hold"),
                        "any_gpu" in note and flag(note, "any_gpu"))


def _take(run: RunFolder, target: Path) -> bool:
    """Rename the run's queue file to ``target``; ``False`` if it is not there now."""
    try:
        os.utime(run.path / QUEUED_FILE)  # measures how long it is taken, not the wait
        (run.path / QUEUED_FILE).replace(target)
    except (FileNotFoundError, PermissionError):  # the latter on Windows, while another process is reading the file
        return False
    return True


def _put_back(taken: Path) -> None:
    """Return a taken queue file to the queue; on Windows that fails while another process is reading the file."""
    deadline = time.monotonic() + _CHANGE_SECONDS
    while True:
        try:
            taken.replace(taken.with_name(QUEUED_FILE))
            return
        except PermissionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)


def _request_of(run: Path) -> QueueRequest | None:
    """The request of a run if it is queued. The first file is tried twice: a change may have begun and ended meanwhile.

    A damaged file counts as none; the run's summary reports it.
    """
    for name in (QUEUED_FILE, CHANGING_FILE, QUEUED_FILE):
        try:
            return read_request(run / name)
        except (OSError, DamagedFileError):
            continue
    return None


def _between(low: float | None, high: float | None) -> float | None:
    """A place between two others, ``None`` for the end of the queue; ``None`` if there is no number between them."""
    if high is None:
        return time.time() if low is None else max(time.time(), low + _STEP_SECONDS)
    place = high - 1.0 if low is None else (low + high) / 2
    return place if (low is None or low < place) and place < high else None


def _write(file: Path, request: QueueRequest) -> None:
    write_atomically(file, json.dumps(asdict(request)))


def _age(file: Path) -> float:
    try:
        return time.time() - file.stat().st_mtime
    except OSError:
        return 0.0


def _last_event(run: RunFolder) -> dict[str, Any]:
    events = read_events(run.events_file)[0]
    return events[-1] if events else {}


def _device(file: Path) -> str | None:
    try:
        return read_request(file).device
    except (OSError, DamagedFileError):
        return None
