"""Remembers on disk what is chosen for the end of the queue, so that a webui that was ended can say it was not done."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from ....errors import WriteError
from ....files.atomic import write_atomically
from ....files.json_file import DamagedFileError, read_object, text
from ....files.writing import writing
from ....runs.process_mark import mark_from, this_process
from .choices import LABELS, NOTHING

FILE = "when-finished.json"
_LOG = logging.getLogger(__name__)


class ChoiceNote:
    """The choice of this process, in ``folder``. It is never read to do anything, only to report it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._written = NOTHING
        self.of_another = False
        """Whether another webui that is still running has chosen something for the same runs."""

    def interrupted(self) -> str:
        """The choice of a webui on this folder that has ended meanwhile; empty if there is none."""
        try:
            note = read_object(self._file)
            choice, self.of_another = text(note, "choice"), mark_from(note).alive
        except FileNotFoundError:
            return ""
        except (DamagedFileError, OSError):
            choice = ""
        if self.of_another:
            return ""
        remove(self._file)
        return choice if choice in LABELS and choice != NOTHING else ""

    def write(self, choice: str) -> None:
        """Note ``choice``; nothing is noted for ``NOTHING``."""
        if choice == self._written:
            return
        self._written = choice
        if choice == NOTHING:
            remove(self._file)
            return
        try:
            with writing(self._file):
                self._file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file, json.dumps({**this_process().as_dict(), "choice": choice}))
        except WriteError as problem:
            _LOG.warning("If the webui is restarted, the page will not say that “%s” was not done: "
                         "%s", LABELS[choice], problem)


def remove(file: Path) -> None:
    """Remove ``file`` if it exists; what is in the way of that is logged, since the choice itself is off already."""
    try:
        file.unlink(missing_ok=True)
    except OSError as problem:
        _LOG.warning("%s could not be removed: %s", file, problem)
