"""Carrying out changes to files: all of a batch or none of it, and only on files that are still what was read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import DatasetError
from ...files.swap import Stamp, SwapArea
from ...pictures.problems import count_of
from .format import Change, Move, Write


class ConflictError(DatasetError):
    """Files are no longer what was read; nothing was changed. ``paths`` are relative to the dataset's folder."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = tuple(paths)
        names = ", ".join(self.paths[:5]) + (f" and {len(self.paths) - 5} more" if len(self.paths) > 5 else "")
        were = "was" if len(self.paths) == 1 else "were"
        super().__init__(f"{count_of(len(self.paths), 'file')} {were} changed by another program meanwhile: {names}. "
                         "Nothing was written. Look at what is there now, and repeat the edit if it still fits.")


class HalfDoneError(DatasetError):
    """An edit stopped half-way and could not be taken back; recovering the journal finishes it."""


class Confined:
    """Finds files of a dataset by their relative names; links may not lead out of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._parents: dict[str, str] = {}

    def file(self, relative: str) -> str:
        """The file's path with links resolved. Raises ``DatasetError`` if it is not inside."""
        return self.look(relative)[0]

    def look(self, relative: str) -> tuple[str, os.stat_result | None]:
        """The file's path with links resolved, and its state if it is there. Raises ``DatasetError`` as ``file``."""
        path = self.name(relative)
        try:
            state = os.lstat(path)
            if stat.S_ISLNK(state.st_mode):
                path = self._resolved(relative, relative)
                state = os.stat(path)
        except FileNotFoundError:
            return path, None
        return path, state

    def name(self, relative: str) -> str:
        """As ``file``, but a link at the end stays one: moving it moves the link."""
        parent, _, name = relative.rpartition("/")
        if name in ("", ".", "..") or "\0" in relative or (os.name == "nt" and (":" in relative or "\\" in relative)):
            raise DatasetError(f"{relative!r} names no file of {self._folder}.")
        if parent not in self._parents:
            self._parents[parent] = self._resolved(parent, relative)
        return f"{self._parents[parent]}{os.sep}{name}"

    def _resolved(self, relative: str, named: str) -> str:
        if os.path.isabs(relative) or ".." in relative.split("/"):
            raise DatasetError(f"{named!r} is not a name inside {self._folder}. Only files of the dataset can be used.")
        path = os.path.realpath(os.path.join(self._folder, relative))
        if path != self._folder and not path.startswith(self._folder.rstrip(os.sep) + os.sep):
            raise DatasetError(f"{named!r} leads out of {self._folder} to {path}. Copy it into the folder to use it.")
        return path


def check(changes: Sequence[Change], confined: Confined, stamps: Mapping[str, Stamp]) -> list[str]:
    """The relative names of the files that are not what ``changes`` begin with.

    A file that still bears its stamp is not read again; ``stamps`` are of files known to have the content ``old``.
    """
    wrong = []
    for change in changes:
        if isinstance(change, Move):
            if not os.path.lexists(confined.name(change.source)):
                wrong.append(change.source)
            elif _is_taken(confined.name(change.target), confined.name(change.source)):
                wrong.append(change.target)
        elif not _is_still(*confined.look(change.path), change.old, stamps.get(change.path)):
            wrong.append(change.path)
    return wrong


def _is_taken(target: str, source: str) -> bool:
    """Whether there is another file than ``source``; ``A.PNG`` and ``a.png`` can be the same one."""
    if not os.path.lexists(target):
        return False
    return target.lower() != source.lower() or not os.path.samefile(target, source)


def _is_still(path: str, state: os.stat_result | None, content: bytes | None, stamp: Stamp | None) -> bool:
    if state is None:
        return content is None
    if stamp is not None and Stamp.of(state) == stamp:
        return True
    return state.st_size == len(content) and read_bytes(path) == content if content is not None else False


def read_bytes(path: str) -> bytes:
    """A whole file; raises ``OSError``."""
    with open(path, "rb", buffering=0) as file:
        return file.read()


def carry_out(changes: Sequence[Change], confined: Confined, area: SwapArea, ready: Callable[[], None]) -> None:
    """Make all ``changes``, calling ``ready`` when everything is staged and before the first file is touched.

    Raises ``DatasetError`` if that cannot be done, with the files as they were; ``HalfDoneError`` if not even that.
    """
    places = [_place(change, confined) for change in changes]
    staged = _stage(changes, places, area)
    try:
        ready()
    except OSError as problem:
        _withdraw(staged, area)
        raise DatasetError(f"The undo journal cannot be written: {problem.strerror}. Nothing was changed.") from problem
    done = 0
    try:
        for change, place, new in zip(changes, places, staged, strict=True):
            _make(change, place.path, new, confined, area)
            done += 1
    except OSError as problem:
        _withdraw(staged[done:], area)
        _take_back(changes[:done], confined, area)
        raise DatasetError(f"{problem.filename} cannot be changed: {problem.strerror}. All files are as they were. "
                           "If another program has it open, close it there and try again.") from problem


@dataclass(frozen=True)
class _Place:
    """The file that a change is about: the one that is written, with its permissions, or the name that is given."""

    path: str
    mode: int | None


def _place(change: Change, confined: Confined) -> _Place:
    if isinstance(change, Move):
        return _Place(confined.name(change.target), None)
    path, state = confined.look(change.path)
    return _Place(path, None if state is None else stat.S_IMODE(state.st_mode))


def _stage(changes: Sequence[Change], places: Sequence[_Place], area: SwapArea) -> list[str | None]:
    staged: list[str | None] = []
    try:
        for change, place in zip(changes, places, strict=True):
            staged.append(_stage_one(change, place, area))
    except OSError as problem:
        _withdraw(staged, area)
        raise DatasetError(f"The captions cannot be written: {problem.strerror}. Nothing was changed.") from problem
    return staged


def _stage_one(change: Change, place: _Place, area: SwapArea) -> str | None:
    return None if isinstance(change, Move) or change.new is None else area.stage(place.path, change.new, place.mode)


def _withdraw(staged: Sequence[str | None], area: SwapArea) -> None:
    for path in staged:
        if path is not None:
            area.withdraw(path)


def _make(change: Change, place: str, staged: str | None, confined: Confined, area: SwapArea) -> None:
    if isinstance(change, Move):
        os.makedirs(os.path.dirname(place), exist_ok=True)
        source = confined.name(change.source)
        if _is_taken(place, source):
            raise FileExistsError(errno.EEXIST, "there is a file of that name already", place)
        os.rename(source, place)
    elif staged is not None:
        area.put_in_place(staged, place)
    elif change.old is not None:
        area.take_away(place)


def _take_back(changes: Sequence[Change], confined: Confined, area: SwapArea) -> None:
    """Undo the first ``changes`` of a batch that could not be finished."""
    try:
        for change in reversed(changes):
            back = change.back()
            place = _place(back, confined)
            _make(back, place.path, _stage_one(back, place, area), confined, area)
    except OSError as problem:
        raise HalfDoneError(f"{problem.filename} cannot be changed: {problem.strerror}. The edit stopped half-way, and "
                            "it could not be taken back; open the dataset again to finish it.") from problem


def stamps_of(changes: Sequence[Change], confined: Confined) -> dict[str, Stamp | None]:
    """The stamps of the files that ``changes`` have written; ``None`` for those that are gone."""
    found: dict[str, Stamp | None] = {}
    for change in changes:
        if isinstance(change, Write):
            _, state = confined.look(change.path)
            found[change.path] = None if state is None else Stamp.of(state)
    return found
