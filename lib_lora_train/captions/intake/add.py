"""Adding files to a dataset as one undo step. Undo moves them to the dataset's trash."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from ...errors import DatasetError
from ...files.confine import TRASH_FOLDER, inside, own_folder
from ...files.writing import cannot_write
from ...pictures.problems import count_of
from ..editor.editor import CaptionEditor, Outcome
from ..editor.new_files import free_folder
from ..journal.apply import HalfDoneError
from ..journal.format import Move
from .arrange import Arrangement, IntakeChoice, arrange
from .intake import Intake

_LISTED = 20


def add_arrived(editor: CaptionEditor, intake: Intake, choice: IntakeChoice,
                known: dict[str, str]) -> tuple[Outcome, list[int]]:
    """Add the files of ``intake`` as ``arrange`` places them; returns the outcome and the new images' numbers.

    Raises ``ConflictError`` or ``DatasetError`` with nothing added and the files still in ``intake``.
    """
    with editor.lock:
        editor.refresh()
        found = arrange(editor, intake, choice, known)
        placed = [*found.images, *found.captions, *found.masks]
        if not placed:
            raise DatasetError("There is nothing to add: no image or caption that the set does not already have.")
        outcome = add_files(editor, _label(found), [(one.file.file, one.target) for one in placed], _left(found))
        entries = [editor.index.of_path(one.target) for one in found.images]
        return outcome, [entry.id for entry in entries if entry is not None]


def add_files(editor: CaptionEditor, label: str, files: Sequence[tuple[Path, str]],
              left: Sequence[str] = (), before: Sequence[Move] = ()) -> Outcome:
    """Move ``files`` to their relative paths in the dataset, none of which exists after the moves ``before``.

    They go through a folder of the trash, so that undo leaves them there with their names. A file that is listed again
    is copied. Raises ``ConflictError`` or ``DatasetError`` with all files where they were.
    """
    with editor.lock:
        own_folder(editor.folder, TRASH_FOLDER)
        place = f"{TRASH_FOLDER}/{free_folder(editor.folder / TRASH_FOLDER)}"
        moved: dict[Path, Path] = {}
        try:
            for file, target in files:
                inside(editor.folder, target)
                _put(file, editor.folder / place / target, moved)
            return editor.carry_out(label, [*before, *(Move(f"{place}/{target}", target) for _, target in files)], left)
        except OSError as problem:
            _put_back(moved, editor.folder / place)
            raise DatasetError(f"Nothing was added. {cannot_write(problem.filename or editor.folder, problem)}") \
                from problem
        except HalfDoneError:
            raise  # the journal finishes it from the trash
        except DatasetError:
            _put_back(moved, editor.folder / place)
            raise


def _put(file: Path, target: Path, moved: dict[Path, Path]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if file in moved:
        shutil.copyfile(moved[file], target)
    else:
        file.rename(target)
        moved[file] = target


def _put_back(moved: dict[Path, Path], place: Path) -> None:
    """Undo ``_put``. What cannot be moved back stays in the trash."""
    for file, target in moved.items():
        with contextlib.suppress(OSError):  # the original error says more
            target.rename(file)
    if not any(target.exists() for target in moved.values()):
        shutil.rmtree(place, ignore_errors=True)


def _label(found: Arrangement) -> str:
    if not found.images:
        return f"Added {count_of(len(found.captions), 'caption')}"
    more = [count_of(len(items), word) for items, word in ((found.captions, "caption"), (found.masks, "mask")) if items]
    return f"Added {count_of(len(found.images), 'image')}" + (f" with {' and '.join(more)}" if more else "")


def _left(found: Arrangement) -> list[str]:
    """What was not added, for the message about the import."""
    them = "it" if len(found.same) == 1 else "them"
    said = [f"{count_of(len(found.same), 'image')} skipped, since the set already has {them}."] if found.same else []
    said += [f"{path}: {reason}." for path, reason in found.left[:_LISTED]]
    if len(found.left) > _LISTED:
        said.append(f"and {count_of(len(found.left) - _LISTED, 'more file')}")
    return said
