"""The undo journal of a dataset: edits that are wholly done or not at all, across crashes and sessions.

Order of an edit: its changes are kept durably, new contents are staged, the history says durably that the edit is in
force, then the files are put in place. A crash before the third leaves everything old; after it, the next
``Journal.recover`` finishes the edit. Until the system has written all of it to the disk (``settle``), an edit counts
as unsettled, so that not even a power cut loses a word.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import DatasetError
from ...files.confine import HIDDEN_FOLDER, Confined, own_folder
from ...files.swap import Stamp, SwapArea
from .apply import ConflictError, HalfDoneError, carry_out, check, stamps_of
from .format import (
    BatchInfo,
    Change,
    JournalState,
    Move,
    Unsettled,
    Write,
    batch_file,
    read_batch,
    read_state,
    write_batch,
    write_state,
)
from .lock import only_one
from .recover import Recovered, boot_id, finish

MOST_BATCHES = 1000
MOST_BYTES = 512 << 20
_MOST_UNSETTLED = 32

KnownStamp = Callable[[str, "bytes | None"], "Stamp | None"]
"""Gives a file's stamp if the file is known to have the content named; then it is not read again."""


def _nothing_known(path: str, content: bytes | None) -> Stamp | None:
    return None


@dataclass(frozen=True)
class Applied:
    """An edit that was carried out: its label, what it changed, and the stamps of the files that were written."""

    label: str
    changes: tuple[Change, ...]
    stamps: Mapping[str, Stamp | None]


@dataclass(frozen=True)
class History:
    """The edits, oldest first; the first ``position`` are in force, the others can be redone."""

    batches: tuple[BatchInfo, ...]
    position: int


class Journal:
    """The journal of one dataset folder. Safe for several threads and programs: one edit goes on at a time."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is resolved. Raises ``DatasetError`` if nothing can be written beside the pictures."""
        self.folder = folder
        self._journal = own_folder(folder, HIDDEN_FOLDER, "journal")
        self._spares = own_folder(folder, HIDDEN_FOLDER, "spare")

    def recover(self) -> Recovered:
        """Finish what a crash left half done. Raises ``DatasetError`` if that cannot be done."""
        with self._alone() as state:
            self._remove_orphans(state)
            if not state.unsettled:
                return Recovered()
            try:
                found = finish(self._journal, state.unsettled, Confined(self.folder), SwapArea(self._spares))
            except OSError as problem:
                raise DatasetError(f"{problem.filename} cannot be written: {problem.strerror}. An edit was broken off "
                                   "and could not be finished; mend that and open the dataset again.") from problem
            self._settle(state)
            return found

    def do(self, label: str, changes: Sequence[Change], stamps: Mapping[str, Stamp]) -> Applied:
        """Carry out ``changes`` and remember them under ``label``; edits that were undone can't be redone any more.

        ``stamps`` are of the files known to have the content that ``changes`` begin with.
        Raises ``ConflictError`` or ``DatasetError`` with every file as it was.
        """
        with self._alone() as state:
            self._refuse_conflicts(changes, stamps)
            number = state.next_number
            try:
                write_batch(self._journal, number, changes)
            except OSError as problem:
                raise DatasetError(f"The undo journal cannot be written: {problem.strerror}. Nothing was changed.") \
                    from problem
            info = BatchInfo(number, label, time.time(), len(changes))
            kept, dropped = self._within_limits((*state.batches[:state.position], info))
            after = replace(state, batches=kept, position=len(kept), next_number=number + 1)
            applied = self._carry_out(state, after, info, False, changes)
            self._remove([*dropped, *state.batches[state.position:]])
            return applied

    def undo(self, known: KnownStamp = _nothing_known, leave: Sequence[str] = ()) -> Applied:
        """Take back the last edit in force, but for the files ``leave``. Raises as ``do``."""
        with self._alone() as state:
            if not state.position:
                raise DatasetError("There is nothing to undo.")
            info = state.batches[state.position - 1]
            changes = [change.back() for change in reversed(read_batch(self._journal, info.number))]
            after = replace(state, position=state.position - 1)
            return self._step(state, after, info, True, _without(changes, leave), known)

    def redo(self, known: KnownStamp = _nothing_known, leave: Sequence[str] = ()) -> Applied:
        """Do again what was last undone, but for the files ``leave``. Raises as ``do``."""
        with self._alone() as state:
            if state.position == len(state.batches):
                raise DatasetError("There is nothing to redo.")
            info = state.batches[state.position]
            after = replace(state, position=state.position + 1)
            return self._step(state, after, info, False, _without(read_batch(self._journal, info.number), leave), known)

    def history(self) -> History:
        """What can be undone and redone."""
        state = read_state(self._journal)
        return History(state.batches, state.position)

    def settle(self) -> None:
        """Wait until the disk has all that was edited so far. May take seconds; edits can go on meanwhile."""
        seen = read_state(self._journal).unsettled
        if not seen:
            return
        self._write_back()
        with self._alone() as state:
            write_state(self._journal,
                        replace(state, unsettled=tuple(edit for edit in state.unsettled if edit not in seen)))

    @contextmanager
    def _alone(self) -> Iterator[JournalState]:
        with only_one(self._journal / "lock"):
            yield read_state(self._journal)

    def _refuse_conflicts(self, changes: Sequence[Change], stamps: Mapping[str, Stamp]) -> None:
        wrong = check(changes, Confined(self.folder), stamps)
        if wrong:
            raise ConflictError(wrong)

    def _step(self, state: JournalState, after: JournalState, info: BatchInfo, back: bool, changes: Sequence[Change],
              known: KnownStamp) -> Applied:
        stamps = {change.path: stamp for change in changes
                  if isinstance(change, Write) and (stamp := known(change.path, change.old)) is not None}
        self._refuse_conflicts(changes, stamps)
        return self._carry_out(state, after, info, back, changes)

    def _carry_out(self, before: JournalState, after: JournalState, info: BatchInfo, back: bool,
                   changes: Sequence[Change]) -> Applied:
        """Make the changes and let the history go from ``before`` to ``after``; moves are never left unsettled."""
        moves = any(isinstance(change, Move) for change in changes)
        if before.unsettled and (moves or len(before.unsettled) >= _MOST_UNSETTLED):
            before = self._settle(before)
        now = Unsettled(info.number, back, time.time(), boot_id())
        after = replace(after, unsettled=(*before.unsettled, now))
        confined = Confined(self.folder)
        try:
            carry_out(changes, confined, SwapArea(self._spares), lambda: write_state(self._journal, after))
        except HalfDoneError:
            raise
        except DatasetError:
            write_state(self._journal, before)
            raise
        if moves:
            self._settle(after)
        return Applied(info.label, tuple(changes), stamps_of(changes, confined))

    def _settle(self, state: JournalState) -> JournalState:
        self._write_back()
        settled = replace(state, unsettled=())
        write_state(self._journal, settled)
        return settled

    def _write_back(self) -> None:
        if hasattr(os, "sync"):
            os.sync()
        # Windows writes its metadata in order, and ``finish`` knows a content that was cut by its beginning

    def _within_limits(self, batches: tuple[BatchInfo, ...]) -> tuple[tuple[BatchInfo, ...], tuple[BatchInfo, ...]]:
        """The newest batches that fit the limits, and the older ones; the newest is always kept."""
        first, size = len(batches) - 1, self._size_of(batches[-1])
        while first > 0 and len(batches) - first < MOST_BATCHES:
            size += self._size_of(batches[first - 1])
            if size > MOST_BYTES:
                break
            first -= 1
        return batches[first:], batches[:first]

    def _size_of(self, batch: BatchInfo) -> int:
        try:
            return batch_file(self._journal, batch.number).stat().st_size
        except FileNotFoundError:
            return 0

    def _remove(self, batches: Sequence[BatchInfo]) -> None:
        for batch in batches:
            batch_file(self._journal, batch.number).unlink(missing_ok=True)

    def _remove_orphans(self, state: JournalState) -> None:
        """Batches of edits that were broken off before they began, and files that were never renamed into place."""
        known = {batch_file(self._journal, batch.number).name for batch in state.batches}
        for file in self._journal.iterdir():
            if (file.suffix == ".batch" and file.name not in known) or file.suffix == ".tmp":
                file.unlink(missing_ok=True)


def _without(changes: Sequence[Change], leave: Sequence[str]) -> list[Change]:
    left = set(leave)
    return [change for change in changes if (change.source if isinstance(change, Move) else change.path) not in left]
