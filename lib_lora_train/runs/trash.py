"""The trash of the runs folder: deleted runs and the files they saved, until they are restored or deleted permanently.

    .trash/ENTRY/trashed.json   its content, time, and the original path of each file
    .trash/ENTRY/run/           the run folder       .trash/ENTRY/files/     its saved files and their sidecars

``trashed.json`` is written first, so that an entry can be restored whenever the moving was interrupted.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import RunError
from ..files.atomic import write_atomically
from ..files.json_file import DamagedFileError, flag, number, read_object, text
from ..files.reading import reason
from ..files.walk import natural_key
from ..files.writing import writing
from .folder import MERGE, QUEUED_FILE, RunFolder

TRASH = ".trash"
_FILE, _RUN, _FILES = "trashed.json", "run", "files"
BESIDE = (".json", ".txt", ".civitai.info", *(f"{middle}{end}" for middle in ("", ".preview")
                                               for end in (".png", ".jpg", ".jpeg", ".webp")))
"""Extensions of the files that the webui and its extensions keep beside a model."""
CHECKPOINT_YAML = ".yaml"
"""A merge copies the model's YAML beside the new checkpoint."""


@dataclass(frozen=True)
class TrashedFile:
    """A file in the trash: its original path, and its name in the entry's folder."""

    origin: str
    stored: str


@dataclass(frozen=True)
class TrashEntry:
    """The content of the trash from one action. ``time`` is in seconds since the epoch; ``whole_run``: whether the run
    folder is included. ``problem`` is a sentence for an entry whose record cannot be read; empty for others.
    """

    id: str
    run: str
    name: str
    time: float
    whole_run: bool
    files: tuple[TrashedFile, ...]
    problem: str = ""


def with_sidecars(run: RunFolder, saved: Path) -> list[Path]:
    """``saved``, a file of ``run``, and its sidecars of the same name: the webui's card, its preview, notes of other
    tools, a checkpoint's YAML.
    """
    endings = (*BESIDE, CHECKPOINT_YAML) if run.command == MERGE else BESIDE
    return [saved, *(path for end in endings if (path := saved.with_name(saved.stem + end)).is_file())]


def move_to_trash(run: RunFolder, name: str, saved: Sequence[Path], *, whole_run: bool) -> TrashEntry:
    """Move the files ``saved`` by ``run`` with their sidecars, and with ``whole_run`` the run folder, to the trash.

    Raises ``WriteError`` if one cannot be moved, ``RunError`` if the run was queued meanwhile; everything is then put
    back.
    """
    trash = run.path.parent / TRASH
    paths = [path for file in saved for path in with_sidecars(run, file)]
    files = tuple(TrashedFile(str(path), f"{index:03d}-{path.name}"[:200]) for index, path in enumerate(paths))
    folder = _new_folder(trash, f"{time.strftime('%Y%m%d-%H%M%S')}-{run.id}"[:200])
    entry = TrashEntry(folder.name, run.id, name, time.time(), whole_run, files)
    write_atomically(folder / _FILE, json.dumps({key: value for key, value in asdict(entry).items()
                                                 if key not in ("id", "problem")}))
    try:
        if whole_run:
            _move(run.path, folder / _RUN)
            if (folder / _RUN / QUEUED_FILE).exists():
                raise RunError(f"The run {run.id} was just queued, so it stays. Remove it from the queue first.")
        for file in files:
            _move(Path(file.origin), folder / _FILES / file.stored)
    except BaseException:
        _put_back(folder, entry, run.path)
        raise
    return entry


def trash_entries(runs: Path) -> list[TrashEntry]:
    """Everything in the trash of ``runs``, newest first."""
    trash = runs / TRASH
    if not trash.is_dir():
        return []
    return [_read(folder) for folder in sorted(trash.iterdir(), key=lambda item: natural_key(item.name), reverse=True)
            if folder.is_dir() and not folder.is_symlink()]


def restore(runs: Path, entry_id: str, may_write: Callable[[Path], bool]) -> TrashEntry:
    """Restore an entry to its original place; ``may_write``: whether a saved file may be written to a path.

    Nothing is overwritten: raises ``RunError`` if a name exists, leads elsewhere, or the record is damaged.
    """
    entry = _entry(runs, entry_id)
    folder, target = runs / TRASH / entry.id, runs / entry.run
    if entry.problem:
        raise RunError(entry.problem)
    if target.parent != runs or entry.run in ("", ".", "..", TRASH):
        raise RunError(f"The record of {entry.id} names {entry.run[:200]!r}, which is not the name of a run.")
    stored = [file for file in entry.files if (folder / _FILES / file.stored).is_file()]
    for file in stored:
        if not may_write(Path(file.origin)):
            raise RunError(f"{file.origin[:300]} is not in a folder for models, so nothing is put there. The file is "
                           f"{folder / _FILES / file.stored}.")
    wanted = [Path(file.origin) for file in stored] + ([target] if (folder / _RUN).is_dir() else [])
    taken = [str(path) for path in wanted if os.path.lexists(path)]
    if taken:
        raise RunError(f"There is another {taken[0]} by now, and nothing is overwritten. Rename or move that one, then "
                       "restore again.")
    _put_back(folder, entry, target)
    return entry


def delete_for_good(runs: Path, entry_id: str) -> None:
    """Delete an entry permanently. Raises ``RunError`` if there is none, ``WriteError``."""
    folder = runs / TRASH / _entry(runs, entry_id).id
    with writing(folder):
        shutil.rmtree(folder)


def _entry(runs: Path, entry_id: str) -> TrashEntry:
    found = next((entry for entry in trash_entries(runs) if entry.id == entry_id), None)
    if found is None:
        raise RunError(f"There is no {entry_id[:200]!r} in the trash.")
    return found


def _put_back(folder: Path, entry: TrashEntry, target: Path) -> None:
    """Move the content of the entry's ``folder`` back, with ``target`` for the run, and remove the entry."""
    for file in entry.files:
        stored = folder / _FILES / file.stored
        if os.path.lexists(stored) and not os.path.lexists(file.origin):
            _move(stored, Path(file.origin))
    if (folder / _RUN).is_dir():
        _move(folder / _RUN, target)
    with writing(folder):
        (folder / _FILE).unlink(missing_ok=True)
        for empty in (folder / _FILES, folder):
            if empty.is_dir() and not any(empty.iterdir()):
                empty.rmdir()


def _move(source: Path, target: Path) -> None:
    """Move a file or folder, by copying if the target is on another disk. Raises ``WriteError``."""
    with writing(target):
        if not os.path.lexists(source):
            return
        if os.path.lexists(target):
            raise FileExistsError(17, "There is another file of that name", str(target))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(str(source), str(target))


def _new_folder(trash: Path, name: str) -> Path:
    for attempt in range(1, 1000):
        folder = trash / (name if attempt == 1 else f"{name}-{attempt}")
        if not os.path.lexists(folder):
            with writing(folder):
                folder.mkdir(parents=True)
            return folder
    raise RunError(f"There is too much named {name} in {trash}. Delete some of it for good.")


def _read(folder: Path) -> TrashEntry:
    try:
        values = read_object(folder / _FILE)
        files = values.get("files")
        if not isinstance(files, list):
            raise DamagedFileError("“files” is not a list")
        return TrashEntry(folder.name, text(values, "run"), text(values, "name"), number(values, "time"),
                          flag(values, "whole_run"), tuple(_file(file) for file in files))
    except (DamagedFileError, OSError) as problem:
        return TrashEntry(folder.name, "", folder.name, 0.0, False, (), f"What is in {folder} cannot be restored from "
                          f"here: {_FILE} is damaged, {reason(problem)}. Its files are in that folder.")


def _file(values: Any) -> TrashedFile:
    if not isinstance(values, dict):
        raise DamagedFileError("“files” holds something that is not an object")
    file = TrashedFile(text(values, "origin"), text(values, "stored"))
    if Path(file.stored).name != file.stored or "\0" in file.origin + file.stored or file.stored in ("", ".."):
        raise DamagedFileError(f"“stored” is {file.stored[:80]!r}, which is not the name of a file")
    return file
