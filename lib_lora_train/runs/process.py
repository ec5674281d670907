"""Starting a worker process, and telling whether a run's worker is alive.

A pid alone can be taken over by another program, so the time the process was created is kept with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ..errors import RunError
from ..files.atomic import write_atomically
from .events import ENDINGS, read_events
from .folder import RunFolder
from .process_mark import ProcessMark
from .queue import queued_device


@dataclass(frozen=True)
class RunStatus:
    """Where a run stands: ``state`` is waiting, running, paused, finished, stopped, failed or lost.

    ``lost`` means that the worker is gone and left no word, as after a power cut.
    """

    state: str
    pid: int | None
    last: dict[str, Any]

    @property
    def alive(self) -> bool:
        """Whether the worker process exists."""
        return self.state in ("running", "paused")


def start_worker(run: RunFolder, command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Start ``command`` for ``run``, its output going to the run's log; return its pid.

    The worker gets a session of its own, so that closing the webui does not end it. Raises ``RunError`` if it
    cannot be started or the run has a live worker already.
    """
    if run_status(run).alive:
        raise RunError(f"The run {run.id} is already going on.")
    run.control.withdraw("stop")
    run.control.withdraw("pause")
    detached: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        detached = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    try:
        with run.log_file.open("ab") as log:
            process = subprocess.Popen(list(command), stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=subprocess.STDOUT, env=dict(environ), **detached)
    except OSError as problem:
        raise RunError(f"The worker could not be started with {command[0]}: {problem}.") from problem
    remember_process(run, process.pid)
    return process.pid


def remember_process(run: RunFolder, pid: int | None = None) -> None:
    """Note ``pid`` (this process if none is given) and its creation time as the run's worker."""
    pid = os.getpid() if pid is None else pid
    try:
        created = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return  # it has ended already; its events say how
    write_atomically(run.process_file, json.dumps({"pid": pid, "created": created}))


def live_pid(run: RunFolder) -> int | None:
    """The pid of the run's worker if that very process still exists."""
    try:
        note = json.loads(run.process_file.read_text())
        mark = ProcessMark(int(note["pid"]), float(note["created"]))
    except (FileNotFoundError, ValueError, KeyError):
        return None
    return mark.pid if mark.alive else None


def noted_at(run: RunFolder) -> float | None:
    """When the run's last worker was noted, in seconds since the epoch; ``None`` if there never was one."""
    try:
        return run.process_file.stat().st_mtime
    except FileNotFoundError:
        return None


def run_status(run: RunFolder) -> RunStatus:
    """Where ``run`` stands, from its process and its events alone."""
    noted = noted_at(run)  # in this order: a worker that is there now may have been noted just now,
    pid = live_pid(run)  # and what one that is gone has written is all there when the events are read
    events = read_events(run.events_file)[0]
    last = events[-1] if events else {}
    kind = last.get("event")
    if kind == "queued" and queued_device(run) is not None:
        return RunStatus("waiting", None, last)
    if pid is not None and kind not in ENDINGS:
        held = [event["event"] for event in events if event["event"] in ("paused", "resumed", "started")]
        return RunStatus("paused" if held and held[-1] == "paused" else "running", pid, last)
    if kind in ENDINGS:
        return RunStatus("failed" if kind == "error" else str(kind), None, last)
    started = noted is not None and (kind != "queued" or noted >= last["time"])
    return RunStatus("lost" if started else "waiting", None, last)


def working_folder() -> Path:
    """The folder that holds the ``lib_lora_train`` package, from which a worker is started."""
    return Path(__file__).resolve().parents[2]
