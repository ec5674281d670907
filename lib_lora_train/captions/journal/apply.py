"""Applying a batch of changes to files: all or none, and only if the files have not changed since they were read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...config.groups.dataset import CAPTION_ENDINGS
from ...errors import DatasetError
from ...files.confine import Confined, Spot
from ...files.swap import Stamp, SwapArea
from ...files.writing import cannot_write
from ...pictures.images import PICTURE_ENDINGS
from ...pictures.problems import count_of
from ...pictures.weights import WEIGHT_ENDING
from .format import Change, Move, Write

_ROOM = "Free some space on the disk, or make the folder writable, and try again."


class ConflictError(DatasetError):
    """Files have changed since they were read; nothing was written. ``paths`` are relative to the dataset's folder."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = tuple(paths)
        names = ", ".join(self.paths[:5]) + (f" and {len(self.paths) - 5} more" if len(self.paths) > 5 else "")
        were = "was" if len(self.paths) == 1 else "were"
        super().__init__(f"{count_of(len(self.paths), 'file')} {were} changed by another program meanwhile: {names}. "
                         "Nothing was written. Check the captions, and repeat the edit if it still fits.")


class HalfDoneError(DatasetError):
    """An edit stopped half-way and could not be rolled back; recovery of the journal finishes it."""


def check(changes: Sequence[Change], confined: Confined, stamps: Mapping[str, Stamp]) -> list[str]:
    """The relative paths of the files that no longer match the old content of ``changes``.

    ``stamps`` are those of files known to have the content ``old``; a file with the same stamp is not read again.
    Raises ``DatasetError`` if a change is not allowed.
    """
    wrong = []
    vacated: set[str] = set()  # names that earlier moves of the batch free for later ones
    for change in changes:
        if not is_allowed(change, confined):
            name = change.source if isinstance(change, Move) else change.path
            raise DatasetError(f"{name} is neither an image nor a caption, or would become something else. The editor "
                               f"writes captions ({', '.join(CAPTION_ENDINGS)}) and weights and moves images, nothing "
                               "more.")
        if isinstance(change, Move):
            source, target = confined.state(change.source), confined.state(change.target)
            if source is None:
                wrong.append(change.source)
            elif target is not None and change.target not in vacated and not _is_same(change, source, target):
                wrong.append(change.target)
            vacated.add(change.source)
        elif not _is_still(confined, change.path, change.old, stamps.get(change.path)):
            wrong.append(change.path)
    return wrong


def is_allowed(change: Change, confined: Confined) -> bool:
    """Whether the editor may make ``change``: write a caption or weight, or move these, an image or a folder.

    A file keeps its extension, so that no image can become a script.
    """
    if isinstance(change, Write):
        return change.path.lower().endswith((*CAPTION_ENDINGS, WEIGHT_ENDING))
    state = confined.state(change.source)
    if state is not None and stat.S_ISDIR(state.st_mode):
        return True
    if change.source.endswith(WEIGHT_ENDING) and change.target.endswith(WEIGHT_ENDING):
        return True
    old, new = (os.path.splitext(name)[1].lower() for name in (change.source, change.target))
    return old == new and (new in CAPTION_ENDINGS or new in PICTURE_ENDINGS)


def _is_same(move: Move, source: os.stat_result, target: os.stat_result) -> bool:
    """Whether both names refer to one file, as ``A.PNG`` and ``a.png`` may."""
    return move.source.lower() == move.target.lower() and os.path.samestat(source, target)


def _is_still(confined: Confined, path: str, content: bytes | None, stamp: Stamp | None) -> bool:
    real, state = confined.resolve(path)
    if state is None:
        return content is None
    if stamp is not None and Stamp.of(state) == stamp:
        return True
    return state.st_size == len(content) and confined.read(real) == content if content is not None else False


def carry_out(changes: Sequence[Change], confined: Confined, area: SwapArea, ready: Callable[[], None]) -> None:
    """Apply all ``changes``, calling ``ready`` when everything is staged and before the first file is touched.

    Raises ``DatasetError`` on failure with all files unchanged, ``HalfDoneError`` if they could not be restored.
    """
    try:
        targets = [_target_of(change, confined) for change in changes]
    except OSError as problem:
        raise DatasetError(f"{cannot_write(problem.filename or 'A caption', problem)} Nothing was changed.") \
            from problem
    staged = _stage(changes, targets, confined, area)
    try:
        ready()
    except OSError as problem:
        _withdraw(staged, area)
        raise DatasetError(f"{cannot_write(problem.filename or 'The undo journal', problem)} Nothing was changed.") \
            from problem
    done = 0
    try:
        for change, target, new in zip(changes, targets, staged, strict=True):
            _make(change, target.path, new, confined, area)
            done += 1
    except (OSError, DatasetError) as problem:
        _withdraw(staged[done:], area)
        _take_back(changes[:done], confined, area)
        if isinstance(problem, DatasetError):
            raise DatasetError(f"{problem} All files are as they were.") from problem
        raise DatasetError(f"{cannot_write(targets[done].path, problem)} All files are as they were.") from problem


@dataclass(frozen=True)
class _Target:
    """The relative path that a change writes, with its permissions, or to which it moves a file."""

    path: str
    mode: int | None


def _target_of(change: Change, confined: Confined) -> _Target:
    if isinstance(change, Move):
        return _Target(change.target, None)
    path, state = confined.resolve(change.path)
    return _Target(path, None if state is None else stat.S_IMODE(state.st_mode))


def _stage(changes: Sequence[Change], targets: Sequence[_Target], confined: Confined,
           area: SwapArea) -> list[Spot | None]:
    staged: list[Spot | None] = []
    try:
        for change, target in zip(changes, targets, strict=True):
            staged.append(_stage_one(change, target, confined, area))
    except OSError as problem:
        _withdraw(staged, area)
        raise DatasetError(f"The captions cannot be written: {problem.strerror}. Nothing was changed. The first that "
                           f"failed is {targets[len(staged)].path}. {_ROOM}") from problem
    return staged


def _stage_one(change: Change, target: _Target, confined: Confined, area: SwapArea) -> Spot | None:
    if isinstance(change, Move) or change.new is None:
        return None
    return area.stage(confined.at(target.path), change.new, target.mode)


def _withdraw(staged: Sequence[Spot | None], area: SwapArea) -> None:
    for spot in staged:
        if spot is not None:
            area.withdraw(spot)


def _make(change: Change, target: str, staged: Spot | None, confined: Confined, area: SwapArea) -> None:
    if isinstance(change, Move):
        move_file(change, confined)
    elif staged is not None:
        area.put_in_place(staged, confined.at(target))
    elif change.old is not None:
        area.take_away(confined.at(target))


def move_file(move: Move, confined: Confined) -> None:
    """Apply ``move``, creating missing folders. Raises ``OSError``, also if the target exists."""
    confined.make_folder_of(move.target)
    source, target = confined.at(move.source), confined.at(move.target)
    old, new = source.state(), target.state()
    if old is not None and new is not None and not _is_same(move, old, new):
        raise FileExistsError(errno.EEXIST, "there is a file of that name already", target.path)
    os.rename(source.name, target.name, src_dir_fd=source.parent, dst_dir_fd=target.parent)


def _take_back(changes: Sequence[Change], confined: Confined, area: SwapArea) -> None:
    """Roll back ``changes``, the ones already applied of a batch that failed."""
    try:
        for change in reversed(changes):
            back = change.back()
            target = _target_of(back, confined)
            _make(back, target.path, _stage_one(back, target, confined, area), confined, area)
    except (OSError, DatasetError) as problem:
        what = problem if isinstance(problem, DatasetError) else cannot_write(problem.filename or "A file", problem)
        raise HalfDoneError(f"{what} The edit stopped half-way, and it could not be taken back; open the dataset again "
                            "to finish it.") from problem


def stamps_of(changes: Sequence[Change], confined: Confined) -> dict[str, Stamp | None]:
    """The stamps of the files that ``changes`` wrote; ``None`` for deleted ones."""
    found: dict[str, Stamp | None] = {}
    for change in changes:
        if isinstance(change, Write):
            try:
                _, state = confined.resolve(change.path)
            except OSError:
                state = None  # no stamp: the file is read again once it is accessible
            found[change.path] = None if state is None else Stamp.of(state)
    return found
