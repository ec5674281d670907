"""What the undo journal keeps on disk: edits as batches of changes, and where in their history the dataset stands.

``.lora_train/journal/state.json`` names the batches in order, how many of them are in force (``position``), and which
were carried out so lately that a crash may have left them half done (``unsettled``). ``<number>.batch`` holds a
batch's changes: JSON, compressed, with a file's bytes as text (UTF-8; others as escaped surrogates, so that all come
back).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ...errors import DatasetError
from ...files.atomic import write_atomically

STATE_FILE = "state.json"
_VERSION = 1


@dataclass(frozen=True)
class Write:
    """A file's content before and after; ``None`` means that there is no file. ``path`` is relative, with ``/``."""

    path: str
    old: bytes | None
    new: bytes | None

    def back(self) -> Write:
        """The change that takes this one back."""
        return Write(self.path, self.new, self.old)


@dataclass(frozen=True)
class Move:
    """A file or folder that gets another name, where there is nothing yet."""

    source: str
    target: str

    def back(self) -> Move:
        """The change that takes this one back."""
        return Move(self.target, self.source)


Change = Write | Move


@dataclass(frozen=True)
class BatchInfo:
    """One edit in the history: what was done, when (seconds since the epoch), and to how many files."""

    number: int
    label: str
    time: float
    files: int


@dataclass(frozen=True)
class Unsettled:
    """An edit that was carried out, or taken back (``back``), but may not be on the disk's own memory yet.

    ``boot`` tells one start of the machine from the next; it is empty where that cannot be told.
    """

    number: int
    back: bool
    time: float
    boot: str


@dataclass(frozen=True)
class JournalState:
    """The history; ``position`` batches are in force, those after it can be redone."""

    batches: tuple[BatchInfo, ...] = ()
    position: int = 0
    next_number: int = 1
    unsettled: tuple[Unsettled, ...] = ()


def read_state(folder: Path) -> JournalState:
    """The state in ``folder``; an empty one if there is none yet. Raises ``DatasetError`` if it cannot be read."""
    file = folder / STATE_FILE
    try:
        found = json.loads(file.read_bytes())
        if found["version"] != _VERSION:
            raise DatasetError(f"{file} was written by a newer version of this extension. Update the extension.")
        return JournalState(tuple(BatchInfo(**item) for item in found["batches"]), int(found["position"]),
                            int(found["next_number"]), tuple(Unsettled(**item) for item in found["unsettled"]))
    except FileNotFoundError:
        return JournalState()
    except OSError as problem:
        raise DatasetError(f"The undo journal {file} cannot be read: {problem.strerror}.") from problem
    except (ValueError, KeyError, TypeError) as problem:
        raise DatasetError(f"The undo journal {file} is damaged ({problem}). Rename the folder {folder} to begin a new "
                           "one; the captions themselves are not touched by that.") from problem


def write_state(folder: Path, state: JournalState) -> None:
    """Replace the state, durably. Raises ``OSError`` with the old state in place."""
    write_atomically(folder / STATE_FILE, json.dumps({"version": _VERSION, **asdict(state)}))


def batch_file(folder: Path, number: int) -> Path:
    """Where the changes of batch ``number`` are."""
    return folder / f"{number:06d}.batch"


def write_batch(folder: Path, number: int, changes: Iterable[Change]) -> None:
    """Keep a batch's changes, durably. Raises ``OSError`` if the disk is full."""
    text = json.dumps([_as_list(change) for change in changes])
    write_atomically(batch_file(folder, number), zlib.compress(text.encode("ascii"), 1))


def read_batch(folder: Path, number: int) -> list[Change]:
    """A batch's changes. Raises ``DatasetError`` if they are gone or damaged."""
    file = batch_file(folder, number)
    try:
        return [_change(items) for items in json.loads(zlib.decompress(file.read_bytes()))]
    except (OSError, ValueError, zlib.error, IndexError, TypeError) as problem:
        raise DatasetError(f"A part of the undo journal, {file}, is missing or damaged ({problem}). Rename the folder "
                           f"{folder} to begin a new one; the captions themselves stay as they are.") from problem


def _as_list(change: Change) -> list[str | None]:
    if isinstance(change, Move):
        return ["move", change.source, change.target]
    return ["write", change.path, _text(change.old), _text(change.new)]


def _change(items: list[str | None]) -> Change:
    kind, first, second = items[0], items[1], items[2]
    if kind == "move" and isinstance(first, str) and isinstance(second, str):
        return Move(first, second)
    if kind == "write" and isinstance(first, str):
        return Write(first, _bytes(second), _bytes(items[3]))
    raise ValueError(f"a change of kind {kind!r}")


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "surrogateescape")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")
