"""Names of LoRA files: free ones for new files, and another one for a saved file."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..errors import RunError
from ..files.reading import reason
from ..files.walk import files_below
from ..files.writing import writing
from .events import EventWriter, read_events
from .folder import RunFolder
from .trash import with_sidecars

LORA_ENDINGS = (".safetensors", ".pt", ".ckpt")
_OF_A_RUN = re.compile(r"-(?:\d{6}|step\d{8})$")
_VERSION = re.compile(r"^(.*?)-v(\d+)$")


def lora_names(folder: Path) -> set[str]:
    """The names, in lower case, of every LoRA in ``folder`` and its subfolders, each also without its epoch or step.

    Includes subfolders, since a prompt names a LoRA without its folder.
    """
    names: set[str] = set()
    for entry in files_below(folder):
        path = Path(entry.name.lower())
        if path.suffix in LORA_ENDINGS:
            names.update((path.stem, _OF_A_RUN.sub("", path.stem)))
    return names


def lora_stems(folder: Path) -> set[str]:
    """The names of every LoRA file in ``folder`` and its subfolders, by which prompts find them."""
    return {Path(entry.name).stem for entry in files_below(folder) if entry.name.lower().endswith(LORA_ENDINGS)}


def without_epoch(name: str) -> str:
    """The name that all files of a run begin with, of a file ``name``."""
    return _OF_A_RUN.sub("", name)


def next_free_name(name: str, taken: Iterable[str]) -> str:
    """``name``, or the first of ``name-v2``, ``name-v3`` … that is not in ``taken`` (compared in lower case)."""
    used = {other.lower() for other in taken}
    if name.lower() not in used:
        return name
    match = _VERSION.match(name)
    stem, number = (match[1], int(match[2])) if match else (name, 1)
    while f"{stem}-v{number + 1}".lower() in used:
        number += 1
    return f"{stem}-v{number + 1}"


def rename_saved(run: RunFolder, saved: Path, name: str, images: Sequence[Path],
                 change: Callable[[Path], None]) -> Path:
    """Rename ``saved``, a LoRA file of the ended ``run``, with its sidecars and ``images``; return its new path.

    The names of all of them begin with that of the file. Each is given its new name beside the old one, ``change`` is
    called with the new LoRA file, the run records the new name, and then the old names are removed: if it is
    interrupted, a file is there under each name that the run may know. Nothing is overwritten: raises ``RunError`` if
    one of the new names is taken or an old one cannot be removed, ``WriteError``.
    """
    old = [*with_sidecars(run, saved), *images]
    new = [path.with_name(name + path.name[len(saved.stem):]) for path in old]
    made: list[Path] = []
    try:
        for before, after in zip(old, new, strict=True):
            _second_name(before, after)
            made.append(after)
        change(new[0])
        with EventWriter(run.events_file) as events:
            events.write("renamed", {"path": saved, "to": new[0], "name": name})
    except BaseException:
        if not _is_recorded(run, new[0]):
            for path in made:
                with contextlib.suppress(OSError):  # the exception already raised says more
                    path.unlink()
        raise
    for path in old:
        try:
            path.unlink(missing_ok=True)
        except OSError as problem:
            raise RunError(f"{new[0].name} is complete, but the file of the old name, {path}, cannot be removed "
                           f"({reason(problem)}). Close the program that uses it, then delete it.") from problem
    return new[0]


def _second_name(before: Path, after: Path) -> None:
    with writing(after):
        try:
            os.link(before, after)
            return
        except FileExistsError as problem:
            raise RunError(f"There is another {after} already, and nothing is overwritten. Choose another name, or "
                           "move that file.") from problem
        except (OSError, NotImplementedError):  # a disk without hard links
            with before.open("rb") as source, after.open("xb") as target:
                try:
                    shutil.copyfileobj(source, target)
                except OSError:
                    after.unlink()
                    raise
        shutil.copystat(before, after)


def _is_recorded(run: RunFolder, path: Path) -> bool:
    events = read_events(run.events_file)[0]
    return bool(events) and events[-1]["event"] == "renamed" and events[-1]["to"] == str(path)
