"""The queue of runs: a file in the run folder marks a run as queued, and names its device.

    queued.json     the run is queued        claimed.json    a process has claimed it and is starting its worker
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
    """The device of a queued run; ``None`` if it is not queued."""
    return _device(run.path / QUEUED_FILE)


def claimed_device(run: RunFolder) -> str | None:
    """The device that the queue started a run on; ``None`` if it did not."""
    return _device(run.path / CLAIMED_FILE)


def waiting_runs(runs: Path) -> Iterator[RunFolder]:
    """The queued runs, oldest first."""
    found = []
    for file in runs.glob(f"*/{QUEUED_FILE}"):
        try:
            found.append((read_request(file)[1], file.parent.name))
        except (OSError, DamagedFileError):
            continue  # claimed or withdrawn just now; the run's summary reports a damaged file
    for _, name in sorted(found):
        yield RunFolder(runs / name)


def claim(run: RunFolder) -> bool:
    """Claim ``run`` from the queue to start it; ``False`` if another process was first.

    The rename is the claim, so everything that only the winner may do comes after it.
    """
    try:
        os.utime(run.path / QUEUED_FILE)  # measures the duration of the start from now on, not the wait
        (run.path / QUEUED_FILE).replace(run.path / CLAIMED_FILE)
    except (FileNotFoundError, PermissionError):  # the latter on Windows, while another process is reading the file
        return False
    run.process_file.unlink(missing_ok=True)  # the previous worker's, if the run is resumed
    return True


def ask_again(run: RunFolder, device: str, *, steps: int, total_steps: int | None, name: str) -> None:
    """Queue an ended run again, continuing after ``steps`` and saving as ``name``."""
    with EventWriter(run.events_file) as events:
        events.write("queued", {"steps": steps, "total_steps": total_steps, "name": name})
    enqueue(run, device)


def withdraw(run: RunFolder) -> bool:
    """Remove a run from the queue and record that it was stopped; ``False`` if it is not queued."""
    try:
        (run.path / QUEUED_FILE).unlink()
    except FileNotFoundError:
        return False
    last = _last_event(run)
    with EventWriter(run.events_file) as events:
        events.write("stopped", {"steps": last.get("steps", 0), "seconds": 0.0})
    return True


def requeue_abandoned(runs: Path) -> None:
    """Requeue runs whose claimer died between the claim and the start of the worker."""
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
    """The device in a queue file, and the time of the request in seconds since the epoch.

    Raises ``FileNotFoundError`` if there is no such file, ``DamagedFileError`` if it is invalid.
    """
    note = read_object(file)
    return text(note, "device"), number(note, "asked")


def _device(file: Path) -> str | None:
    try:
        return read_request(file)[0]
    except (OSError, DamagedFileError):
        return None
