"""Crash recovery: finishes interrupted edits without touching what other programs wrote since."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import DatasetError
from ...files.confine import Confined, own_folder
from ...files.swap import TEMPORARY_PREFIX, SwapArea
from ...pictures.problems import count_of
from .apply import is_allowed, move_file
from .format import Change, Move, Unsettled, Write

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_CLOCK_SECONDS = 5.0
_SET_ASIDE = "damaged"


@dataclass(frozen=True)
class Recovered:
    """The result of a recovery: files ``finished``, and files ``left`` alone because another program changed them.

    ``failed`` files could not be finished, each with the reason; ``damaged`` are messages on what was set aside.
    """

    finished: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()


@dataclass
class _Wanted:
    """The contents that unfinished edits gave a file (``known``), its final content, and the time of the last edit."""

    known: list[bytes | None] = field(default_factory=list)
    content: bytes | None = None
    time: float = 0.0
    other_boot: bool = False


def boot_id() -> str:
    """An identifier of the current boot; empty if the system provides none."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def finish(edits: Sequence[tuple[Unsettled, Sequence[Change]]], confined: Confined, area: SwapArea,
           hidden: Path) -> Recovered:
    """Complete the unsettled ``edits`` in order; a file that cannot be completed stays unchanged.

    Content apparently damaged by a power cut is saved in a folder of ``hidden`` before it is replaced.
    """
    wanted: dict[str, _Wanted] = {}
    finished: list[str] = []
    failed: list[str] = []
    left: list[str] = []
    boot = boot_id()
    for edit, batch in edits:
        for change in leaving(batch, edit):
            name = change.source if isinstance(change, Move) else change.path
            try:
                if not is_allowed(change, confined):
                    left.append(name)
                elif isinstance(change, Move):
                    finished += _finish_move(change, confined)
                else:
                    _expect(wanted.setdefault(name, _Wanted()), change, edit, boot)
            except (OSError, DatasetError) as problem:
                failed.append(_failed(name, problem))
    remove_temporaries(wanted, confined)
    for path, file in wanted.items():
        try:
            outcome = _finish_write(path, file, confined, area, hidden)
        except (OSError, DatasetError) as problem:
            failed.append(_failed(path, problem))
            continue
        if outcome is not None:
            (finished if outcome else left).append(path)
    return Recovered(tuple(finished), tuple(left), tuple(failed))


def leaving(changes: Sequence[Change], edit: Unsettled) -> list[Change]:
    """The changes that ``edit`` makes of a batch: forward or inverted, without the files that it leaves."""
    turned = [change.back() for change in reversed(changes)] if edit.back else list(changes)
    left = set(edit.leave)
    return [change for change in turned if (change.source if isinstance(change, Move) else change.path) not in left]


def _failed(path: str, problem: OSError | DatasetError) -> str:
    return f"{path} ({problem.strerror if isinstance(problem, OSError) else problem})"


def _expect(file: _Wanted, change: Write, edit: Unsettled, boot: str) -> None:
    file.known += [change.old, change.new]
    file.content = change.new
    file.time = max(file.time, edit.time)
    file.other_boot = file.other_boot or edit.boot != boot or not boot


def _finish_move(change: Move, confined: Confined) -> list[str]:
    if confined.state(change.target) is not None or confined.state(change.source) is None:
        return []
    move_file(change, confined)
    return [change.target]


def _finish_write(path: str, file: _Wanted, confined: Confined, area: SwapArea, hidden: Path) -> bool | None:
    """Whether the file was completed; ``False`` if another program changed it, ``None`` if nothing was missing."""
    real, state = confined.resolve(path)
    found = None if state is None else confined.read(real)
    if found == file.content:
        return None
    if found not in file.known:
        if not _is_our_damage(state, found, file):
            return False
        _keep_copy(hidden, path, found or b"")
    if file.content is None:
        area.take_away(confined.at(real))
    else:
        mode = None if state is None else stat.S_IMODE(state.st_mode)
        area.put_in_place(area.stage(confined.at(real), file.content, mode), confined.at(real))
    return True


def _keep_copy(hidden: Path, path: str, content: bytes) -> None:
    if content.strip(b"\0"):
        place = own_folder(hidden, _SET_ASIDE)
        _free(place / path.rpartition("/")[2]).write_bytes(content)


def _is_our_damage(state: os.stat_result | None, found: bytes | None, file: _Wanted) -> bool:
    """Whether a power cut damaged the content that we wrote; a killed process alone cannot do that."""
    if state is None or found is None or not file.other_boot:
        return False
    if not found.strip(b"\0") or any(known is not None and known.startswith(found) for known in file.known):
        return True
    return state.st_mtime <= file.time + _CLOCK_SECONDS


def remove_temporaries(paths: Iterable[str], confined: Confined) -> None:
    """Remove staged temporary files next to the files ``paths``."""
    for beside in {path.rpartition("/")[0]: path for path in paths}.values():
        with contextlib.suppress(OSError, DatasetError):  # a missing folder has nothing to remove
            spot = confined.at(confined.resolve(beside)[0])
            with os.scandir(os.path.dirname(spot.path) if spot.parent is None else spot.parent) as entries:
                names = [entry.name for entry in entries if entry.name.startswith(TEMPORARY_PREFIX)]
            for name in names:
                os.unlink(spot.beside(name).name, dir_fd=spot.parent)


def set_aside(hidden: Path, files: Iterable[Path]) -> Path | None:
    """Move ``files`` of the journal to a new folder in ``hidden`` and return it; ``None`` if none of them exists.

    Raises ``DatasetError`` or ``OSError`` if they cannot be moved.
    """
    there = [file for file in files if os.path.lexists(file)]
    if not there:
        return None
    place = _free(own_folder(hidden, _SET_ASIDE) / time.strftime("%Y-%m-%d-%H%M%S"))
    place.mkdir()
    for file in there:
        os.rename(file, place / file.name)
    return place


def _free(path: Path) -> Path:
    """``path``, with a number appended if it is taken."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def sentences(found: Recovered) -> list[str]:
    """Messages to the user about a recovery."""
    messages = list(found.damaged)
    if found.finished:
        messages.append(f"The last edit was interrupted; it is finished now ({count_of(len(found.finished), 'file')}).")
    if found.left:
        messages.append(f"{count_of(len(found.left), 'caption')} were changed by another program after the last edit "
                        f"was interrupted; they are left as they are: {_first(found.left)}.")
    if found.failed:
        messages.append(f"The last edit was interrupted, and {count_of(len(found.failed), 'file')} could not be "
                        f"brought up to date: {_first(found.failed)}. They stay as they are.")
    return messages


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
