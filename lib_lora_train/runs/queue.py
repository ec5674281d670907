"""The queue of runs: a file in the run folder says that a run is queued, and for which device.

    queued.json     the run waits         claimed.json    a process has taken it up and starts its worker
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..files.atomic import write_atomically
from ..files.json_file import DamagedFileError, number, read_object, text
from .events import EventWriter, read_events
from .folder import RunFolder

QUEUED_FILE = "queued.json"
CLAIMED_FILE = "claimed.json"
_CLAIM_SECONDS = 60.0


def enqueue(run: RunFolder, device: str) -> None:
    """Queue ``run`` for ``device`` (``cpu``, ``cuda:0`` …)."""
    write_atomically(run.path / QUEUED_FILE, json.dumps({"device": device, "asked": time.time()}))


def queued_device(run: RunFolder) -> str | None:
    """The device of a queued run, or ``None`` if it is not queued."""
    return _device(run.path / QUEUED_FILE)


def claimed_device(run: RunFolder) -> str | None:
    """The device that the queue started a run on, or ``None``."""
    return _device(run.path / CLAIMED_FILE)


def waiting_runs(runs: Path) -> Iterator[RunFolder]:
    """The queued runs, oldest first."""
    found = []
    for file in runs.glob(f"*/{QUEUED_FILE}"):
        try:
            found.append((read_request(file)[1], file.parent.name))
        except (OSError, DamagedFileError):
            continue  # claimed or withdrawn just now; a damaged one is said in the run's summary
    for _, name in sorted(found):
        yield RunFolder(runs / name)


def claim(run: RunFolder) -> bool:
    """Take ``run`` out of the queue to start it; only one process can, and ``False`` says it was another.

    The rename is the claim, so everything that only the winner may do comes after it.
    """
    try:
        os.utime(run.path / QUEUED_FILE)  # from now on it counts how long the start takes, not how long it waited
        (run.path / QUEUED_FILE).replace(run.path / CLAIMED_FILE)
    except (FileNotFoundError, PermissionError):  # on Windows the latter, while another process reads the file
        return False
    run.process_file.unlink(missing_ok=True)  # that of the worker before, of a run that is resumed
    return True


def ask_again(run: RunFolder, device: str, *, steps: int, total_steps: int | None, name: str) -> None:
    """Ask for an ended run to be started again, continuing after ``steps`` and saving as ``name``."""
    with EventWriter(run.events_file) as events:
        events.write("queued", {"steps": steps, "total_steps": total_steps, "name": name})
    enqueue(run, device)


def withdraw(run: RunFolder) -> bool:
    """Take a run out of the queue and record that it was stopped; ``False`` if it is not queued."""
    try:
        (run.path / QUEUED_FILE).unlink()
    except FileNotFoundError:
        return False
    last = _last_event(run)
    with EventWriter(run.events_file) as events:
        events.write("stopped", {"steps": last.get("steps", 0), "seconds": 0.0})
    return True


def requeue_abandoned(runs: Path) -> None:
    """Put back runs whose claimer died between the claim and the start of the worker."""
    for file in runs.glob(f"*/{CLAIMED_FILE}"):
        run = RunFolder(file.parent)
        started = run.process_file.exists() or _last_event(run).get("event", "queued") != "queued"
        if not started and time.time() - file.stat().st_mtime > _CLAIM_SECONDS:
            device = claimed_device(run)
            if device is not None:
                enqueue(run, device)
            file.unlink(missing_ok=True)


def _last_event(run: RunFolder) -> dict[str, Any]:
    events = read_events(run.events_file)[0]
    return events[-1] if events else {}


def read_request(file: Path) -> tuple[str, float]:
    """The device in a file of the queue, and when the run was asked for, in seconds since the epoch.

    Raises ``FileNotFoundError`` if there is no such file, ``DamagedFileError`` if it says something else.
    """
    note = read_object(file)
    return text(note, "device"), number(note, "asked")


def _device(file: Path) -> str | None:
    try:
        return read_request(file)[0]
    except (OSError, DamagedFileError):
        return None
