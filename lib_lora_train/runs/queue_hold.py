"""The hold of the whole queue: while ``queue.json`` in the folder of all runs says so, no further training starts."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..files.atomic import write_atomically
from ..files.json_file import DamagedFileError, flag, number, read_object, text
from ..files.reading import reason
from ..files.writing import writing

QUEUE_FILE = "queue.json"


@dataclass(frozen=True)
class QueueHold:
    """Whether the queue is on hold, since when in seconds since the epoch, and the problem if that cannot be read.

    ``after_failure``: whether a training that fails puts the queue on hold; ``failed`` names the one that did. While
    the queue is not on hold, failures up to ``since`` do not count.
    """

    on_hold: bool = False
    since: float = 0.0
    problem: str = ""
    after_failure: bool = False
    failed: str = ""


class Ended(Protocol):
    """What decides whether a run has failed; see ``runs.summary.RunSummary``."""

    @property
    def name(self) -> str:
        """The name that the user knows it by."""
        ...

    @property
    def has_failed(self) -> bool:
        """Whether it has ended without being finished or stopped."""
        ...

    @property
    def last_event(self) -> float:
        """The time of its last event, in seconds since the epoch."""
        ...


def queue_hold(runs: Path) -> QueueHold:
    """The hold of the queue of ``runs``. A damaged file holds it, since starting what should wait cannot be undone."""
    file = runs / QUEUE_FILE
    try:
        values = read_object(file)
        return QueueHold(flag(values, "on_hold"), number(values, "since"), "",
                         "after_failure" in values and flag(values, "after_failure"), text(values, "failed", ""))
    except FileNotFoundError:
        return QueueHold()
    except (DamagedFileError, OSError) as problem:
        return QueueHold(True, 0.0, f"The queue is on hold, since {file} is damaged: {reason(problem)}. Release the "
                                    "queue to remove the file.")


def hold_queue(runs: Path) -> None:
    """Start no further training of ``runs`` until ``release_queue``. Raises ``WriteError``."""
    _write(runs, QueueHold(True, time.time(), after_failure=queue_hold(runs).after_failure))


def release_queue(runs: Path) -> None:
    """End the hold of the queue. Raises ``WriteError``."""
    _write(runs, QueueHold(False, time.time(), after_failure=queue_hold(runs).after_failure))


def hold_after_failures(runs: Path, *, wanted: bool) -> None:
    """Choose whether a training that fails from now on puts the queue on hold. Raises ``WriteError``."""
    now = queue_hold(runs)
    if not now.problem and wanted != now.after_failure:
        _write(runs, QueueHold(now.on_hold, now.since if now.on_hold else time.time(), "", wanted, now.failed))


def hold_if_failed(runs: Path, trainings: Sequence[Ended]) -> None:
    """Put the queue on hold if one of ``trainings`` has failed, and that is wanted. Raises ``WriteError``."""
    now = queue_hold(runs)
    if now.on_hold or not now.after_failure:
        return
    failed = next((run for run in trainings if run.has_failed and run.last_event > now.since), None)
    if failed is not None:
        _write(runs, QueueHold(True, time.time(), "", True, failed.name))


def _write(runs: Path, hold: QueueHold) -> None:
    with writing(runs / QUEUE_FILE):
        runs.mkdir(parents=True, exist_ok=True)
        if not hold.on_hold and not hold.after_failure:
            (runs / QUEUE_FILE).unlink(missing_ok=True)
            return
    write_atomically(runs / QUEUE_FILE, json.dumps({
        "on_hold": hold.on_hold, "since": hold.since, "after_failure": hold.after_failure, "failed": hold.failed}))
