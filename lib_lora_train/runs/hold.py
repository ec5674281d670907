"""Holding a run at a step boundary: a file says who holds it, the worker answers with a ``held`` event.

Unlike a pause, a hold belongs to a process: when that is gone, the run goes on by itself. There are two: ``hold`` makes
the run stand still, ``room`` makes it leave the GPU too.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import dataclass
from pathlib import Path

from ..files.atomic import write_atomically
from ..files.json_file import DamagedFileError, read_object, text
from ..files.writing import writing
from .process_mark import ProcessMark, mark_from, this_process

HOLD_FILE, ROOM_FILE = "hold", "room"


@dataclass(frozen=True)
class Hold:
    """One holding of a run. ``token`` tells it from the one before and after."""

    token: str
    holder: ProcessMark


class HoldFile:
    """The hold in a run's ``control`` folder. The holder writes and removes it, the worker reads it."""

    def __init__(self, control: Path, name: str = HOLD_FILE) -> None:
        self._file = control / name

    def ask(self) -> Hold:
        """Hold the run in the name of this process. Raises ``OSError`` if that cannot be written."""
        hold = Hold(uuid.uuid4().hex, this_process())
        with writing(self._file):
            self._file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._file, json.dumps({"token": hold.token, **hold.holder.as_dict()}))
        return hold

    def withdraw(self) -> None:
        """Let the run go on. A file that cannot be removed counts for as long as this process lives."""
        with contextlib.suppress(OSError):
            self._file.unlink()

    def asked(self) -> Hold | None:
        """The hold that is asked for now by a process that still exists."""
        try:
            note = read_object(self._file)
            hold = Hold(text(note, "token"), mark_from(note))
        except OSError:
            return None
        except DamagedFileError:
            self.withdraw()  # nobody writes such a file; left there, it would hold the run for ever
            return None
        if hold.holder.alive:
            return hold
        self.withdraw()
        return None
