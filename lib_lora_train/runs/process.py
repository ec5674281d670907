"""Starts a worker process, and detects whether a run's worker is alive.

A pid can be reused by another program, so the creation time of the process is stored with it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psutil

from ..errors import RunError
from ..files.atomic import write_atomically
from ..files.json_file import DamagedFileError, read_object
from ..files.lock import LockHeldError, lock_holder, process_lock
from ..files.reading import reason
from ..files.writing import cannot_write, open_to_append, writing
from .folder import RunFolder
from .process_mark import ProcessMark, mark_from, mark_of, this_process


def start_worker(run: RunFolder, command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Start ``command`` for ``run``, with its output in the run's log; return its pid.

    The worker gets its own session, so that closing the webui does not end it. A stop or pause requested before is
    left for it to carry out; ``queue.enqueue`` withdraws those of an earlier worker. Raises ``RunError`` if it cannot
    be started or the run already has a live worker.
    """
    holder = live_pid(run) or lock_holder(run.lock_file)
    if holder is not None:
        raise RunError(_taken(run, holder))
    detached: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        detached = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    with writing(run.log_file):
        log = open_to_append(run.log_file)
    try:
        with log:
            process = subprocess.Popen(list(command), stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=subprocess.STDOUT, env=dict(environ), **detached)
    except OSError as problem:
        raise RunError(f"The worker could not be started with {command[0]}: {reason(problem)}.") from problem
    remember_process(run, process.pid)
    return process.pid


@contextlib.contextmanager
def only_worker(run: RunFolder) -> Iterator[None]:
    """Register this process as the only worker of ``run``.

    Raises ``RunError`` if another process is working in the folder.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(process_lock(run.lock_file))
        except LockHeldError as holder:
            raise RunError(_taken(run, holder.pid)) from holder
        except OSError as problem:
            raise RunError(f"{cannot_write(run.lock_file, problem)} It keeps two processes from training in one run "
                           "folder.") from problem
        remember_process(run)
        yield


def remember_process(run: RunFolder, pid: int | None = None) -> None:
    """Record ``pid`` (by default this process) and its creation time as the run's worker."""
    try:
        mark = this_process() if pid is None else mark_of(pid)
    except psutil.NoSuchProcess:
        return  # it has already ended; its events say how
    write_atomically(run.process_file, json.dumps(mark.as_dict()))


def noted_worker(run: RunFolder) -> ProcessMark:
    """The run's last worker. Raises ``FileNotFoundError`` if there was none, ``DamagedFileError``."""
    return mark_from(read_object(run.process_file))


def live_pid(run: RunFolder) -> int | None:
    """The pid of the run's worker if that process still exists."""
    try:
        return pid_of(run, noted_worker(run))
    except (OSError, DamagedFileError):
        return pid_of(run, None)


def pid_of(run: RunFolder, noted: ProcessMark | None) -> int | None:
    """As ``live_pid``, for a worker whose record was read already; if it is missing or damaged, the lock decides."""
    if noted is None:
        return lock_holder(run.lock_file)
    return noted.pid if noted.alive else None


def noted_at(run: RunFolder) -> float | None:
    """When the run's last worker was recorded, in seconds since the epoch; ``None`` if there was none."""
    try:
        return run.process_file.stat().st_mtime
    except OSError:
        return None


def _taken(run: RunFolder, pid: int) -> str:
    return (f"The run {run.id} is already being trained by {f'process {pid}' if pid else 'another process'}. Wait for "
            "it, stop it, or start a new run with the same settings.")
