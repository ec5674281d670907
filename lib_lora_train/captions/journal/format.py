"""The undo journal's file format: edits as batches of changes, and the dataset's position in their history.

``.lora_train/journal/state.json`` lists the batches in order, how many of them are applied (``position``), and which
are so recent that a crash may have left them half done (``unsettled``). ``<number>.batch`` has a batch's changes as
compressed JSON; file contents are UTF-8 text, with other bytes as surrogate escapes, so that they round-trip.
"""

from __future__ import annotations

import errno
import json
import os
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from ...errors import DatasetError
from ...files.atomic import write_atomically
from ...files.confine import open_file, open_spot
from ...files.json_file import number, parse, text
from ...files.reading import NO_PLAIN_FILE

STATE_FILE = "state.json"
_VERSION = 1
_MOST_STATE_BYTES = 8 << 20
_MOST_BATCH_BYTES = 512 << 20
_UNREADABLE = (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, zlib.error)

Item = TypeVar("Item")


class DamagedError(DatasetError):
    """A part of the undo journal is missing or damaged; the captions are not affected."""


@dataclass(frozen=True)
class Write:
    """A file's content before and after; ``None`` means no file. ``path`` is relative, with ``/``."""

    path: str
    old: bytes | None
    new: bytes | None

    def back(self) -> Write:
        """The change that takes this one back."""
        return Write(self.path, self.new, self.old)


@dataclass(frozen=True)
class Move:
    """The move of a file or folder to a path that does not exist yet."""

    source: str
    target: str

    def back(self) -> Move:
        """The change that takes this one back."""
        return Move(self.target, self.source)


Change = Write | Move


@dataclass(frozen=True)
class BatchInfo:
    """One edit in the history: its label, time (seconds since the epoch), and number of files."""

    number: int
    label: str
    time: float
    files: int


@dataclass(frozen=True)
class Unsettled:
    """An edit that was applied, or undone (``back``), but may not be on disk yet.

    ``boot`` identifies the boot of the machine, empty if unknown; ``leave`` are the files of the batch that were
    skipped.
    """

    number: int
    back: bool
    time: float
    boot: str
    leave: tuple[str, ...] = ()


@dataclass(frozen=True)
class JournalState:
    """The history; the first ``position`` batches are applied, the others can be redone."""

    batches: tuple[BatchInfo, ...] = ()
    position: int = 0
    next_number: int = 1
    unsettled: tuple[Unsettled, ...] = ()


def read_state(folder: Path) -> JournalState:
    """The state in ``folder``; an empty one if there is none yet.

    Raises ``DamagedError`` if it is damaged, ``DatasetError`` if it cannot be read at the moment.
    """
    file = folder / STATE_FILE
    try:
        return _state(parse(_content(folder, STATE_FILE, _MOST_STATE_BYTES)))
    except FileNotFoundError as problem:
        if any(other != batch_file(folder, 1) for other in folder.glob("*.batch")):
            raise DamagedError(f"The undo journal {file} is missing.") from problem
        return JournalState()
    except _UNREADABLE as problem:
        raise _damage(problem, f"The undo journal {file} is damaged") from problem


def write_state(folder: Path, state: JournalState) -> None:
    """Replace the state, durably. Raises ``OSError`` with the old state in place."""
    write_atomically(folder / STATE_FILE, json.dumps({"version": _VERSION, **asdict(state)}))


def batch_file(folder: Path, number: int) -> Path:
    """The path of batch ``number``."""
    return folder / f"{number:06d}.batch"


def write_batch(folder: Path, number: int, changes: Iterable[Change]) -> None:
    """Save a batch durably. Raises ``OSError`` if the disk is full, ``DatasetError`` if it is too large."""
    text = json.dumps([_as_list(change) for change in changes])
    if len(text) > _MOST_BATCH_BYTES:
        raise DatasetError(f"This edit changes {len(text) >> 20} MB of text; one step of undo holds "
                           f"{_MOST_BATCH_BYTES >> 20} MB. Nothing was changed. Choose fewer images at once.")
    write_atomically(batch_file(folder, number), zlib.compress(text.encode("ascii"), 1))


def read_batch(folder: Path, number: int) -> list[Change]:
    """A batch's changes. Raises ``DamagedError`` if missing or damaged, ``DatasetError`` as ``read_state``."""
    file = batch_file(folder, number)
    try:
        unpacking = zlib.decompressobj()
        unpacked = unpacking.decompress(_content(folder, file.name, _MOST_BATCH_BYTES), _MOST_BATCH_BYTES)
        if not unpacking.eof:
            raise ValueError("its end is missing")
        return [_change(items) for items in parse(unpacked)]
    except _UNREADABLE as problem:
        raise _damage(problem, f"A part of the undo journal, {file}, is missing or damaged") from problem


def number_of(file: Path) -> int | None:
    """The number of a batch file; ``None`` if ``file`` is not one."""
    return int(file.stem) if file.suffix == ".batch" and file.stem.isascii() and file.stem.isdecimal() else None


def _content(folder: Path, name: str, most_bytes: int) -> bytes:
    """A regular file's content. Raises ``OSError``, and ``ValueError`` if it is too large."""
    spot = open_spot(folder, name)
    with open_file(spot.name, spot.parent) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most_bytes:
            raise ValueError(f"it has {size >> 20} MB")
        return file.read()


def _damage(problem: Exception, what: str) -> DatasetError:
    """The error to raise: ``DamagedError`` only for permanent problems."""
    if not isinstance(problem, OSError):
        return DamagedError(f"{what} ({str(problem)[:100] or type(problem).__name__}).")
    if problem.errno in (errno.ENOENT, *NO_PLAIN_FILE):
        return DamagedError(f"{what} ({problem.strerror}).")
    return DatasetError(f"The undo journal {problem.filename} cannot be read: {problem.strerror}. Try again later.")


def _state(found: dict[str, Any]) -> JournalState:
    """Validate a parsed state. Raises ``ValueError``, ``KeyError`` or ``TypeError``."""
    if _whole(found, "version") != _VERSION:
        raise ValueError(f"its version is {found['version']}, this one reads version {_VERSION}")
    state = JournalState(_listed(found["batches"], _batch), _whole(found, "position"), _whole(found, "next_number"),
                         _listed(found["unsettled"], _unsettled))
    numbers = [0, *(batch.number for batch in state.batches), state.next_number]
    if numbers != sorted(set(numbers)) or any(edit.number >= state.next_number for edit in state.unsettled):
        raise ValueError("its edits are not numbered in order")
    if state.position > len(state.batches):
        raise ValueError(f"{state.position} edits are said to be in force, and there are {len(state.batches)}")
    return state


def _batch(item: Any) -> BatchInfo:
    return BatchInfo(_whole(item, "number"), text(item, "label"), float(number(item, "time")), _whole(item, "files"))


def _unsettled(item: Any) -> Unsettled:
    if not isinstance(item["back"], bool):
        raise TypeError(f"“back” is {item['back']!r}, neither true nor false")
    return Unsettled(_whole(item, "number"), item["back"], float(number(item, "time")), text(item, "boot"),
                     _listed(item.get("leave", []), _string))


def _listed(items: Any, read: Callable[[Any], Item]) -> tuple[Item, ...]:
    if not isinstance(items, list):
        raise TypeError(f"{str(items)[:40]!r} is not a list")
    return tuple(read(item) for item in items)


def _whole(values: Mapping[str, Any], name: str) -> int:
    value = number(values, name)
    if not isinstance(value, int) or not 0 <= value < 1 << 53:
        raise ValueError(f"“{name}” is {str(value)[:40]}, not a count")
    return value


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]!r} is not text")
    return value


def _as_list(change: Change) -> list[str | None]:
    if isinstance(change, Move):
        return ["move", change.source, change.target]
    return ["write", change.path, _text(change.old), _text(change.new)]


def _change(items: list[str | None]) -> Change:
    kind, first = items[0], _string(items[1])
    if kind == "move":
        return Move(first, _string(items[2]))
    if kind == "write":
        return Write(first, _bytes(items[2]), _bytes(items[3]))
    raise ValueError(f"a change of kind {kind!r}")


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "surrogateescape")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else _string(text).encode("utf-8", "surrogateescape")
