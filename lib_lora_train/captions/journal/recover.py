"""After a crash: what an edit left half done is finished, and nothing that somebody else wrote since is touched."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...files.confine import Confined
from ...files.swap import TEMPORARY_PREFIX, SwapArea
from .apply import is_allowed, move_file
from .format import Change, Move, Unsettled, Write, read_batch

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_CLOCK_SECONDS = 5.0


@dataclass(frozen=True)
class Recovered:
    """What was done: files ``finished``, and those ``left`` alone because somebody else has written them since."""

    finished: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@dataclass
class _Wanted:
    """What a file may have been meanwhile (``known``), what it has to be, and until when we wrote it."""

    known: list[bytes | None] = field(default_factory=list)
    content: bytes | None = None
    time: float = 0.0
    other_boot: bool = False


def boot_id() -> str:
    """Tells one start of the machine from the next; empty where the system does not say."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def finish(journal: Path, unsettled: Sequence[Unsettled], confined: Confined, area: SwapArea) -> Recovered:
    """Carry out what is left of the ``unsettled`` edits, in their order. Raises ``DatasetError``, ``OSError``."""
    wanted: dict[str, _Wanted] = {}
    finished: list[str] = []
    left: list[str] = []
    boot = boot_id()
    for edit in unsettled:
        for change in _in_direction(read_batch(journal, edit.number), edit.back):
            if not is_allowed(change, confined):
                left.append(change.source if isinstance(change, Move) else change.path)
            elif isinstance(change, Move):
                finished += _finish_move(change, confined)
            else:
                _expect(wanted.setdefault(change.path, _Wanted()), change, edit, boot)
    _remove_temporaries(wanted, confined)
    for path, file in wanted.items():
        outcome = _finish_write(path, file, confined, area)
        if outcome is not None:
            (finished if outcome else left).append(path)
    return Recovered(tuple(finished), tuple(left))


def _in_direction(changes: list[Change], back: bool) -> list[Change]:
    return [change.back() for change in reversed(changes)] if back else changes


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


def _finish_write(path: str, file: _Wanted, confined: Confined, area: SwapArea) -> bool | None:
    """Whether the file was brought to its content; ``False`` if it is somebody else's now, ``None`` if all was well."""
    real, state = confined.look(path)
    found = None if state is None else confined.read(real)
    if found == file.content:
        return None
    if found not in file.known and not _is_our_damage(state, found, file):
        return False
    if file.content is None:
        area.take_away(confined.at(real))
    else:
        mode = None if state is None else stat.S_IMODE(state.st_mode)
        area.put_in_place(area.stage(confined.at(real), file.content, mode), confined.at(real))
    return True


def _is_our_damage(state: os.stat_result | None, found: bytes | None, file: _Wanted) -> bool:
    """Whether a power cut took the content that we had written; a killed process alone cannot do that."""
    if state is None or found is None or not file.other_boot:
        return False
    if not found.strip(b"\0") or any(known is not None and known.startswith(found) for known in file.known):
        return True
    return state.st_mtime <= file.time + _CLOCK_SECONDS


def _remove_temporaries(wanted: dict[str, _Wanted], confined: Confined) -> None:
    for beside in {confined.look(path)[0].rpartition("/")[0]: path for path in wanted}.values():
        spot = confined.at(confined.look(beside)[0])
        with os.scandir(os.path.dirname(spot.path) if spot.parent is None else spot.parent) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(TEMPORARY_PREFIX)]
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(spot.beside(name).name, dir_fd=spot.parent)


def sentences(found: Recovered) -> list[str]:
    """What the user should know of a recovery."""
    told = []
    if found.finished:
        told.append(f"The last edit was broken off; it is finished now ({len(found.finished)} files).")
    if found.left:
        told.append(f"{len(found.left)} captions were changed by another program after the last edit was broken off; "
                    f"they are left as they are: {', '.join(found.left[:5])}.")
    return told
