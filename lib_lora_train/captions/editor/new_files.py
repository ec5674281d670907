"""New files of a dataset: written whole into a folder of its trash first, then moved into place by the journal.

So undo leaves them in the trash with their names, where another program's changes to them are found, too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

from ...errors import DatasetError
from ...files.confine import TRASH_FOLDER, own_folder
from ...files.writing import cannot_write
from ..journal.apply import HalfDoneError
from ..journal.format import Move
from ..journal.journal import Journal

COPIES = "copies"
"""The folder in the editor's hidden folder for copies of files, which are moved from there into place."""

_MARK = "unfinished"
_ABANDONED_SECONDS = 24 * 3600.0
"""No edit takes that long: an unfinished one that is older was interrupted."""


class NewFiles:
    """The new files of one edit. Nothing in the dataset changes until their moves are carried out."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is that of the dataset, resolved. Raises ``DatasetError`` if it is not writable."""
        self._name = free_folder(own_folder(folder, TRASH_FOLDER))
        self._place = own_folder(folder, TRASH_FOLDER, self._name)
        try:
            (self._place / _MARK).touch()
        except OSError as problem:
            raise DatasetError(f"Nothing was changed. {cannot_write(self._place / _MARK, problem)}") from problem

    def write(self, content: bytes, target: str) -> Move:
        """Write ``content`` durably and return the move to ``target``, relative to the dataset.

        Raises ``DatasetError`` that names ``target`` if the disk is full or read-only.
        """
        place = self._place / target
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as problem:
            raise DatasetError(f"Nothing was changed, since {target} cannot be written. "
                               f"{cannot_write(place, problem, len(content))}") from problem
        return Move(f"{TRASH_FOLDER}/{self._name}/{target}", target)

    def __enter__(self) -> NewFiles:
        """Keep the files at the end if the edit was carried out or half done, and delete them if it was refused."""
        return self

    def __exit__(self, kind: object, problem: BaseException | None, traceback: object) -> None:
        if problem is None or isinstance(problem, HalfDoneError):
            self.keep()
        elif isinstance(problem, (DatasetError, OSError)):
            self.discard()

    def keep(self) -> None:
        """The edit was carried out: its files belong to the history now."""
        with contextlib.suppress(OSError):  # otherwise ``remove_abandoned`` finds them in the history
            (self._place / _MARK).unlink()

    def discard(self) -> None:
        """Delete the files again, after an edit that was not carried out."""
        with contextlib.suppress(OSError):  # ``remove_abandoned`` deletes what is left
            shutil.rmtree(self._place)


def remove_abandoned(folder: Path, journal: Journal) -> None:
    """Delete the new files of edits that were interrupted before the journal had them."""
    with contextlib.suppress(OSError, DatasetError):  # what cannot be deleted, or judged, does no harm
        marks = [mark for mark in (folder / TRASH_FOLDER).glob(f"*/{_MARK}")
                 if time.time() - mark.stat().st_mtime > _ABANDONED_SECONDS]
        known: set[str] = set()
        if marks:
            changes = [change for batch in journal.history().batches for change in journal.changes(batch.number)]
            known = {"/".join(change.source.split("/")[:2]) for change in changes if isinstance(change, Move)}
        for mark in marks:
            if f"{TRASH_FOLDER}/{mark.parent.name}" in known:
                mark.unlink()
            elif not mark.parent.is_symlink():
                shutil.rmtree(mark.parent)


def free_folder(parent: Path) -> str:
    """The name of a new folder in ``parent``, by the time of day."""
    name = time.strftime("%Y-%m-%d-%H%M%S")
    number = 1
    while (parent / name).exists():
        number += 1
        name = f"{time.strftime('%Y-%m-%d-%H%M%S')}-{number}"
    return name
