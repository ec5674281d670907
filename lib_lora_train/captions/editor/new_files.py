"""New files of a dataset: written whole into the editor's hidden folder first, then moved by the journal."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

from ...errors import DatasetError
from ...files.confine import HIDDEN_FOLDER, own_folder
from ...files.writing import cannot_write
from ..journal.format import Move
from ..journal.journal import Journal

COPIES = "copies"
_MARK = "unfinished"
_ABANDONED_SECONDS = 24 * 3600.0
"""No edit takes that long: an unfinished one that is older was interrupted."""


class NewFiles:
    """The new files of one edit. Nothing in the dataset changes until their moves are carried out."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is that of the dataset, resolved. Raises ``DatasetError`` if it is not writable."""
        self._name = free_folder(own_folder(folder, HIDDEN_FOLDER, COPIES))
        self._place = own_folder(folder, HIDDEN_FOLDER, COPIES, self._name)
        self._count = 0
        try:
            (self._place / _MARK).touch()
        except OSError as problem:
            raise DatasetError(f"Nothing was changed. {cannot_write(self._place / _MARK, problem)}") from problem

    def write(self, content: bytes, target: str) -> Move:
        """Write ``content`` durably and return the move to ``target``, relative to the dataset.

        Raises ``DatasetError`` that names ``target`` if the disk is full or read-only.
        """
        self._count += 1
        name = f"{self._count}{Path(target).suffix}"  # a file keeps its extension when it is moved
        try:
            with (self._place / name).open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as problem:
            raise DatasetError(f"Nothing was changed, since {target} cannot be written. "
                               f"{cannot_write(self._place / name, problem, len(content))}") from problem
        return Move(f"{HIDDEN_FOLDER}/{COPIES}/{self._name}/{name}", target)

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
    place = folder / HIDDEN_FOLDER / COPIES
    with contextlib.suppress(OSError, DatasetError):  # what cannot be deleted, or judged, does no harm
        marks = [mark for mark in place.glob(f"*/{_MARK}") if time.time() - mark.stat().st_mtime > _ABANDONED_SECONDS]
        known: set[str] = set()
        if marks:
            changes = [change for batch in journal.history().batches for change in journal.changes(batch.number)]
            known = {change.source.rpartition("/")[0] for change in changes if isinstance(change, Move)}
        for mark in marks:
            if f"{HIDDEN_FOLDER}/{COPIES}/{mark.parent.name}" in known:
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
