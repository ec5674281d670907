"""Requests to hold a worker, each a file ``hold-TOKEN.json`` in the run's ``control`` folder.

    {"token", "who", "why", "gives_gpu", "asked", "pid", "created", "boot"}

There is one kind of request for all requesters: a pause by the user, an image in the webui, a plot, a strip. Several
may exist at once; the worker holds while there is any. A request belongs to a process and ends with it, except the
user's: that one has no pid and lasts until it is withdrawn.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ..files.atomic import write_atomically
from ..files.json_file import DamagedFileError, flag, number, read_object, text
from ..files.writing import writing
from .process_mark import ProcessMark, mark_from, this_process

USER, WEBUI, PLOT, STRIP, REGULARIZATION, DESCRIBE, UPSCALING = (
    "user", "webui", "plot", "strip", "regularization", "describe", "upscaling")
CANDIDATES, BASE_CHECK = "candidates", "base-check"
"""Requesters of a hold."""
_PREFIX, _ENDING = "hold-", ".json"
_ATTEMPTS, _ATTEMPT_SECONDS = 20 if sys.platform == "win32" else 1, 0.01
_T = TypeVar("_T")


@dataclass(frozen=True)
class Reason:
    """``who`` requests (``USER``, ``WEBUI`` …); ``why`` follows "Held for", such as "a picture in txt2img"."""

    who: str
    why: str


@dataclass(frozen=True)
class Hold:
    """One request. ``token`` is unique; ``holder`` is ``None`` if the request outlives the process that made it.

    ``gives_gpu``: the worker must leave the GPU too; ``asked`` is in seconds since the epoch.
    """

    token: str
    reason: Reason
    gives_gpu: bool
    holder: ProcessMark | None
    asked: float

    @property
    def orphaned(self) -> bool:
        """Whether the process that made it is gone, which voids it."""
        return self.holder is not None and not self.holder.alive


class HoldRequests:
    """The requests in a run's ``control`` folder. Any process may make one; the worker reads them."""

    def __init__(self, control: Path) -> None:
        self._control = control

    def ask(self, reason: Reason, *, gives_gpu: bool, lasting: bool = False) -> Hold:
        """Ask the worker to hold, until this process ends unless the request is ``lasting``. Raises ``WriteError``."""
        holder = None if lasting else this_process()
        hold = Hold(uuid.uuid4().hex, reason, gives_gpu, holder, time.time())
        file = self._file(hold.token)
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, json.dumps(_as_dict(hold)))
        return hold

    def withdraw(self, hold: Hold) -> None:
        """Withdraw ``hold``; does nothing if that was done already. Raises ``WriteError``."""
        with writing(self._file(hold.token)):
            _patiently(lambda: self._file(hold.token).unlink(missing_ok=True))

    def asked(self) -> list[Hold]:
        """Every valid request, oldest first. Requests whose process is gone are deleted."""
        found = []
        for file in self._files():
            try:
                hold = _patiently(partial(_read, file))
            except OSError:
                continue  # withdrawn just now, or not a regular file
            except DamagedFileError:
                hold = None  # not written by us; it would hold the run forever
            if hold is not None and not hold.orphaned:
                found.append(hold)
                continue
            with contextlib.suppress(OSError):  # then it is checked again next time
                file.unlink(missing_ok=True)
        return sorted(found, key=lambda hold: hold.asked)

    def of_user(self) -> list[Hold]:
        """The user's pause, if there is one; two if requested from two pages at once."""
        return [hold for hold in self.asked() if hold.reason.who == USER]

    def _file(self, token: str) -> Path:
        return self._control / f"{_PREFIX}{token}{_ENDING}"

    def _files(self) -> list[Path]:
        try:
            return [file for file in self._control.iterdir()
                    if file.name.startswith(_PREFIX) and file.name.endswith(_ENDING)]
        except OSError:  # missing, or not a folder
            return []


def _as_dict(hold: Hold) -> dict[str, Any]:
    holder = hold.holder.as_dict() if hold.holder is not None else {"pid": None}
    return {"token": hold.token, "who": hold.reason.who, "why": hold.reason.why, "gives_gpu": hold.gives_gpu,
            "asked": hold.asked, **holder}


def _read(file: Path) -> Hold:
    """The request in ``file``. Raises ``DamagedFileError`` and ``OSError``."""
    note = read_object(file)
    lasting = note.get("pid") is None and note.get("who") == USER
    return Hold(text(note, "token"), Reason(text(note, "who"), text(note, "why")), flag(note, "gives_gpu"),
                None if lasting else mark_from(note), number(note, "asked"))


def _patiently(act: Callable[[], _T]) -> _T:
    """Run ``act``, retrying while Windows refuses because another process has the file open."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return act()
        except PermissionError:
            time.sleep(_ATTEMPT_SECONDS)
    return act()
