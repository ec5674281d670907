"""The user's annotations of a run (name, star, note), in ``note.json`` of the run folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import RunError
from ..files.atomic import write_atomically
from ..files.json_file import DamagedFileError, flag, read_object, text
from ..files.reading import reason
from .folder import RunFolder

NOTE_FILE = "note.json"
MOST_NAME, MOST_NOTE = 100, 5000
"""Longest name and note, in characters."""


@dataclass(frozen=True)
class RunNote:
    """``name`` is shown instead of the run's own name, unless empty; ``note`` is free text."""

    name: str = ""
    starred: bool = False
    note: str = ""


def read_note(run: RunFolder) -> RunNote:
    """The note on ``run``, an empty one if there is none. Raises ``DamagedFileError`` or ``OSError``."""
    try:
        values = read_object(run.path / NOTE_FILE)
    except FileNotFoundError:
        return RunNote()
    name, note = text(values, "name", ""), text(values, "note", "")
    if len(name) > MOST_NAME or len(note) > MOST_NOTE:
        raise DamagedFileError(f"its name or note is longer than {MOST_NAME} or {MOST_NOTE} characters")
    return RunNote(name, "starred" in values and flag(values, "starred"), note)


def write_note(run: RunFolder, note: RunNote) -> None:
    """Save ``note``, its name on one line. Raises ``RunError`` if it is too long, ``WriteError``."""
    name = " ".join(note.name.split())
    for what, said, most in (("name", name, MOST_NAME), ("note", note.note, MOST_NOTE)):
        if len(said) > most:
            raise RunError(f"The {what} of the run {run.id} has {len(said):,} characters; {most:,} are allowed. "
                           "Shorten it.")
    write_atomically(run.path / NOTE_FILE, json.dumps(asdict(RunNote(name, note.starred, note.note))))


class NoteReader:
    """The note on a run; read again only when its file has changed."""

    def __init__(self, run: RunFolder) -> None:
        self._run, self._file = run, run.path / NOTE_FILE
        self._seen: tuple[int, int, int] | bool | None = False
        self.note, self.problem = RunNote(), ""

    def unchanged(self) -> bool:
        """Whether the file is unchanged since it was last read."""
        return self._seen == _stamp(self._file)

    def read(self) -> None:
        """Read the file into ``note``; if that fails, ``problem`` is a sentence that says why."""
        if self.unchanged():
            return
        self._seen = _stamp(self._file)
        try:
            self.note, self.problem = read_note(self._run), ""
        except (DamagedFileError, OSError) as problem:
            self.note = RunNote()
            self.problem = (f"Name, star and note of this run cannot be read: {self._file} is damaged, "
                            f"{reason(problem)}. Write them again to replace the file.")


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        state = file.stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns, state.st_ino
