"""The undo journal of a dataset: atomic edits, across crashes and sessions.

Steps of an edit: save its changes durably, stage the new contents, record durably in the history that the edit is
applied, then move the files into place. A crash before the third step leaves everything unchanged; after it, the next
``Journal.recover``, or the next edit, finishes the edit. An edit stays unsettled until the system has written all of
it to disk (``settle``), so that even a power cut loses nothing.

The captions take precedence: an unreadable part of the journal is set aside, and its edits can no longer be undone.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import DatasetError
from ...files.confine import HIDDEN_FOLDER, Confined, own_folder
from ...files.swap import Stamp, SwapArea
from ...files.writing import cannot_write
from .apply import ConflictError, HalfDoneError, carry_out, check, stamps_of
from .format import (
    STATE_FILE,
    BatchInfo,
    Change,
    DamagedError,
    JournalState,
    Move,
    Unsettled,
    Write,
    batch_file,
    number_of,
    read_batch,
    read_state,
    write_batch,
    write_state,
)
from .lock import is_plain, only_one
from .recover import Recovered, boot_id, finish, leaving, remove_temporaries, sentences, set_aside

MOST_BATCHES = 1000
MOST_BYTES = 512 << 20
_MOST_UNSETTLED = 32
_LONGEST_LABEL = 300

KnownStamp = Callable[[str, "bytes | None"], "Stamp | None"]
"""Returns a file's stamp if the file is known to have the given content, so that it need not be read again."""


def _nothing_known(path: str, content: bytes | None) -> Stamp | None:
    return None


@dataclass(frozen=True)
class Applied:
    """An applied edit: its label, its changes, and the stamps of the written files.

    ``said`` are messages on what had to be finished or set aside before.
    """

    label: str
    changes: tuple[Change, ...]
    stamps: Mapping[str, Stamp | None]
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class History:
    """The edits, oldest first; the first ``position`` are applied, the others can be redone."""

    batches: tuple[BatchInfo, ...]
    position: int


class Journal:
    """The journal of one dataset folder. Safe across threads and processes: one edit at a time."""

    def __init__(self, folder: Path) -> None:
        """``folder`` must be resolved. Raises ``DatasetError`` if it is not writable."""
        self.folder = folder
        self._hidden = own_folder(folder, HIDDEN_FOLDER)
        self._journal = self._hidden / "journal"
        self._spares = self._hidden / "spare"
        self._mark = self._journal / "unfinished"  # exists during an edit, and after an interrupted one
        self._said: list[str] = []
        self._prepare()

    def recover(self) -> Recovered:
        """Finish interrupted edits, and set damaged parts of the journal aside.

        Raises ``DatasetError`` only if the journal cannot be written, or another program holds it.
        """
        with self._turn():
            if os.path.lexists(self._mark):
                self._clear_staged()
            self._mark.touch()
            found = self._finish()
            self._mark.unlink()
            return replace(found, damaged=(*self._messages(), *found.damaged))

    def do(self, label: str, changes: Sequence[Change], stamps: Mapping[str, Stamp]) -> Applied:
        """Apply ``changes`` and record them as ``label``; undone edits can no longer be redone.

        ``stamps`` are those of files known to have the old content of ``changes``.
        Raises ``ConflictError`` or ``DatasetError`` with all files unchanged.
        """
        with self._alone() as state:
            self._refuse_conflicts(changes, stamps)
            number = state.next_number
            with _nothing_changed():
                write_batch(self._journal, number, changes)
                info = BatchInfo(number, label[:_LONGEST_LABEL], time.time(), len(changes))
                kept = self._within_limits((*state.batches[:state.position], info))
            after = replace(state, batches=kept, position=len(kept), next_number=number + 1)
            applied = self._carry_out(state, after, Unsettled(number, False, time.time(), boot_id()), info, changes)
            with contextlib.suppress(OSError):  # the edit is done; leftovers are removed the next time
                self._remove_unknown()
            return applied

    def undo(self, known: KnownStamp = _nothing_known, leave: Sequence[str] = ()) -> Applied:
        """Undo the last applied edit, except for the files ``leave``. Raises as ``do``."""
        with self._alone() as state:
            if not state.position:
                raise DatasetError("There is nothing to undo.")
            after = replace(state, position=state.position - 1)
            return self._step(state, after, state.batches[after.position], True, leave, known)

    def redo(self, known: KnownStamp = _nothing_known, leave: Sequence[str] = ()) -> Applied:
        """Redo the edit that was undone last, except for the files ``leave``. Raises as ``do``."""
        with self._alone() as state:
            if state.position == len(state.batches):
                raise DatasetError("There is nothing to redo.")
            after = replace(state, position=state.position + 1)
            return self._step(state, after, state.batches[state.position], False, leave, known)

    def history(self) -> History:
        """The edits to undo and redo. Raises ``DatasetError`` if a damaged journal cannot be set aside."""
        try:
            state = read_state(self._journal)
        except DamagedError:
            with self._alone() as state:
                pass
        return History(state.batches, state.position)

    def changes(self, number: int) -> list[Change]:
        """The changes of the edit ``number``. Raises ``DatasetError`` if they cannot be read."""
        return read_batch(self._journal, number)

    def settle(self) -> None:
        """Wait until all edits so far are on disk. May take seconds; edits remain possible meanwhile.

        Raises ``DatasetError`` if the journal cannot be written.
        """
        with self._alone() as state:
            seen = state.unsettled
        if not seen:
            return
        self._write_back()
        with self._alone() as state, _nothing_changed():
            write_state(self._journal,
                        replace(state, unsettled=tuple(edit for edit in state.unsettled if edit not in seen)))
            self._remove_unknown()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the lock. Raises ``DatasetError`` as ``only_one``, and for file system errors."""
        self._prepare()
        with only_one(self._journal / "lock"), _nothing_changed():
            yield

    @contextmanager
    def _alone(self) -> Iterator[JournalState]:
        """Hold the lock for an edit and yield the state; an interrupted edit is finished first."""
        with self._turn():
            if os.path.lexists(self._mark):
                self._clear_staged()
                self._said += sentences(self._finish())
            state = self._sound_state()
            self._mark.touch()
            try:
                yield state
            except HalfDoneError:
                raise  # the mark stays
            except DatasetError:
                self._mark.unlink()
                raise
            with contextlib.suppress(OSError):  # the edit is done; a remaining mark only causes another check
                self._mark.unlink()

    def _prepare(self) -> None:
        """Create the journal's folders; anything else at those paths is set aside. Raises ``DatasetError``."""
        own_folder(self.folder, HIDDEN_FOLDER)
        for place in (self._journal, self._spares):
            if place.is_symlink() or (place.exists() and not place.is_dir()):
                self._set_aside(f"{place} was a link or a file.", [place])
            own_folder(self._hidden, place.name)
        for file in (self._journal / "lock", self._mark):
            if not is_plain(file):
                self._set_aside(f"{file} was not a plain file.", [file])

    def _sound_state(self) -> JournalState:
        """The state; a damaged one is set aside with all batches, and replaced by an empty one."""
        try:
            return read_state(self._journal)
        except DamagedError as problem:
            files = [self._journal / STATE_FILE, *self._journal.glob("*.batch")]
            self._set_aside(f"{problem} Earlier edits can no longer be undone; the captions stay as they are.", files)
            return JournalState()

    def _set_aside(self, what: str, files: Sequence[Path]) -> None:
        place = set_aside(self._hidden, files)
        self._said.append(f"{what} It is kept in {place}." if place else what)

    def _messages(self) -> tuple[str, ...]:
        """Return and clear the messages on what was set aside or finished."""
        said, self._said = tuple(self._said), []
        return said

    def _finish(self) -> Recovered:
        """Finish the unsettled edits, as far as the journal is readable."""
        state = self._sound_state()
        batches: dict[int, list[Change]] = {}
        for edit in state.unsettled:
            if edit.number not in batches:
                try:
                    batches[edit.number] = read_batch(self._journal, edit.number)
                except DamagedError as problem:
                    self._set_aside(f"{problem} If its edit was interrupted, some captions have it and others do not.",
                                    [batch_file(self._journal, edit.number)])
        here = {number_of(file) for file in self._journal.glob("*.batch")}
        unreadable = {edit.number for edit in state.unsettled} - set(batches)
        missing = {batch.number for batch in state.batches if batch.number not in here} - unreadable
        if missing:
            labels = ", ".join(batch.label for batch in state.batches if batch.number in missing)
            self._said.append(f"Parts of the undo journal are missing; this can no longer be undone: {labels}.")
        sound = _forgetting(state, missing | unreadable)
        edits = [(edit, batches[edit.number]) for edit in sound.unsettled]
        found = finish(edits, Confined(self.folder), SwapArea(self._spares), self._hidden)
        if state.unsettled:
            self._settle(sound)
        elif sound != state:
            write_state(self._journal, sound)
        self._remove_unknown()
        return found

    def _clear_staged(self) -> None:
        """Remove the staged files of an edit, undo or redo that was interrupted before it was recorded."""
        state = self._sound_state()
        near = state.batches[max(state.position - 1, 0):state.position + 1]
        for number in (*(batch.number for batch in near), state.next_number):
            with contextlib.suppress(DamagedError):  # missing, or handled when it is needed
                batch = read_batch(self._journal, number)
                remove_temporaries([change.path for change in batch if isinstance(change, Write)],
                                   Confined(self.folder))

    def _refuse_conflicts(self, changes: Sequence[Change], stamps: Mapping[str, Stamp]) -> None:
        with _nothing_changed():
            wrong = check(changes, Confined(self.folder), stamps)
        if wrong:
            raise ConflictError(wrong)

    def _step(self, state: JournalState, after: JournalState, info: BatchInfo, back: bool, leave: Sequence[str],
              known: KnownStamp) -> Applied:
        """Undo (``back``) or redo the batch ``info``."""
        edit = Unsettled(info.number, back, time.time(), boot_id(), tuple(leave))
        changes = leaving(self._changes_of(state, info), edit)
        stamps = {change.path: stamp for change in changes
                  if isinstance(change, Write) and (stamp := known(change.path, change.old)) is not None}
        self._refuse_conflicts(changes, stamps)
        return self._carry_out(state, after, edit, info, changes)

    def _changes_of(self, state: JournalState, info: BatchInfo) -> list[Change]:
        """The changes of a batch; a damaged one is set aside and removed from the history."""
        try:
            return read_batch(self._journal, info.number)
        except DamagedError as problem:
            with _nothing_changed():
                place = set_aside(self._hidden, [batch_file(self._journal, info.number)])
                write_state(self._journal, _forgetting(state, {info.number}))
            raise DatasetError(f"{problem} So this edit can be neither undone nor redone: {info.label}. It is out of "
                               f"the history now{f' and kept in {place}' if place else ''}; the captions stay as they "
                               "are.") from problem

    def _carry_out(self, before: JournalState, after: JournalState, edit: Unsettled, info: BatchInfo,
                   changes: Sequence[Change]) -> Applied:
        """Apply the changes and advance the history from ``before`` to ``after``; moves are settled immediately."""
        moves = any(isinstance(change, Move) for change in changes)
        with _nothing_changed():
            if before.unsettled and (moves or len(before.unsettled) >= _MOST_UNSETTLED):
                before = self._settle(before)
            area = SwapArea(self._spares)
        after = replace(after, unsettled=(*before.unsettled, edit))
        confined = Confined(self.folder)
        try:
            carry_out(changes, confined, area, lambda: write_state(self._journal, after))
        except HalfDoneError:
            raise
        except DatasetError:
            self._go_back(before)
            raise
        if moves:
            try:
                self._settle(after)
            except OSError as problem:
                raise HalfDoneError(f"The files were moved, but the undo journal is not up to date; the next edit "
                                    f"brings it up to date. {_cannot_keep(self._journal, problem)}") from problem
        return Applied(info.label, tuple(changes), stamps_of(changes, confined), self._messages())

    def _go_back(self, before: JournalState) -> None:
        """Restore the history to ``before``, after an edit was rolled back."""
        try:
            if read_state(self._journal) != before:
                write_state(self._journal, before)
        except OSError as problem:
            raise HalfDoneError(f"The edit was taken back, but the undo journal still has it: once it can be written, "
                                f"the next edit makes this one after all; undo it then. "
                                f"{_cannot_keep(self._journal, problem)}") from problem

    def _settle(self, state: JournalState) -> JournalState:
        self._write_back()
        settled = replace(state, unsettled=())
        write_state(self._journal, settled)
        return settled

    def _write_back(self) -> None:
        if hasattr(os, "sync"):
            os.sync()
        # Windows writes its metadata in order, and ``finish`` recognizes truncated content by its beginning

    def _within_limits(self, batches: tuple[BatchInfo, ...]) -> tuple[BatchInfo, ...]:
        """The newest batches within the limits, always including the newest."""
        first, size = len(batches) - 1, self._size_of(batches[-1])
        while first > 0 and len(batches) - first < MOST_BATCHES:
            size += self._size_of(batches[first - 1])
            if size > MOST_BYTES:
                break
            first -= 1
        return batches[first:]

    def _size_of(self, batch: BatchInfo) -> int:
        try:
            return batch_file(self._journal, batch.number).stat().st_size
        except FileNotFoundError:
            return 0

    def _remove_unknown(self) -> None:
        """Remove batches that neither the history nor an unsettled edit refers to, and leftover temporary files.

        Batches newer than the history belong to another one (after a partial restore, for example) and are set aside.
        """
        state = read_state(self._journal)
        known = {batch.number for batch in state.batches} | {edit.number for edit in state.unsettled}
        files = {number: file for file in self._journal.glob("*.batch") if (number := number_of(file)) is not None}
        newer = [file for number, file in files.items() if number > state.next_number]
        if newer:
            self._set_aside("The undo journal had edits that its history does not name.", newer)
        for number, file in files.items():
            if number not in known and number <= state.next_number:
                file.unlink(missing_ok=True)
        for file in self._journal.glob(".*.tmp"):
            file.unlink(missing_ok=True)


def _cannot_keep(journal: Path, problem: OSError) -> str:
    return cannot_write(journal / STATE_FILE, problem)


@contextmanager
def _nothing_changed() -> Iterator[None]:
    """Convert ``OSError`` to a ``DatasetError`` stating that nothing was changed."""
    try:
        yield
    except OSError as problem:
        raise DatasetError(f"Nothing was changed, since the undo journal could not be written. "
                           f"{cannot_write(problem.filename or 'The undo journal', problem)}") from problem


def _forgetting(state: JournalState, numbers: set[int]) -> JournalState:
    """The history without the batches ``numbers``."""
    kept = [batch.number not in numbers for batch in state.batches]
    return replace(state, batches=tuple(batch for batch, stays in zip(state.batches, kept, strict=True) if stays),
                   position=sum(kept[:state.position]),
                   unsettled=tuple(edit for edit in state.unsettled if edit.number not in numbers))
