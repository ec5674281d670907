"""Upscaled images: how much an image has to grow, and adding the results in place or as new ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from ...files.confine import TRASH_FOLDER, own_folder
from ...files.writing import writing
from ...pictures.limits import MOST_PIXELS
from ...pictures.masks.find import MARKS
from ...pictures.problems import count_of
from ..editor.editor import CaptionEditor, Outcome
from ..editor.new_files import free_folder
from ..journal.format import Move
from .add import add_files
from .intake import Intake
from .names import FreeNames, split_ending

UPSCALED = "-upscaled"
_STEP = 8
_WORTH_IT = 1.02


def factor_for(width: int, height: int, trained: tuple[int, int], wanted: float = 0.0) -> float | None:
    """The factor to upscale an image by: ``wanted``, or if 0 the one that gives it the pixels of the size ``trained``.

    The webui rounds sizes down to multiples of 8, so the factor is a little larger. ``None`` if the image is large
    enough, or would become too large to be opened.
    """
    factor = wanted or math.sqrt(trained[0] * trained[1] / (width * height))
    if factor < _WORTH_IT:
        return None
    exact = max(math.ceil(side * factor / _STEP) * _STEP / side for side in (width, height)) + 1e-6
    return exact if width * height * exact * exact <= MOST_PIXELS else None


def add_upscaled(editor: CaptionEditor, intake: Intake, files: Sequence[tuple[Path, str]], in_place: bool,
                 left: Sequence[str] = ()) -> Outcome:
    """Add upscaled images, PNG files each with the path of its source, as one undo step.

    ``in_place`` moves the sources to the trash; otherwise the new ones get a name of their own and a copy of the
    caption. Raises ``ConflictError`` or ``DatasetError`` with nothing changed.
    """
    with editor.lock:
        editor.refresh()
        here = [(file, path) for file, path in files if editor.index.of_path(path) is not None]
        said = [*left, *(f"{path} is no longer in the set." for _, path in files if editor.index.of_path(path) is None)]
        if in_place:
            return _in_place(editor, here, said)
        return add_files(editor, f"Upscaled {count_of(len(here), 'image')} as new", _as_new(editor, intake, here), said)


def _in_place(editor: CaptionEditor, files: Sequence[tuple[Path, str]], said: list[str]) -> Outcome:
    own_folder(editor.folder, TRASH_FOLDER)
    place = f"{TRASH_FOLDER}/{free_folder(editor.folder / TRASH_FOLDER)}-originals"
    moves, new = [], []
    for file, path in files:
        target = f"{path.removesuffix(Path(path).suffix)}.png"
        if target.casefold() != path.casefold() and (editor.folder / target).exists():
            said.append(f"{path} was left as it is, since {target} already exists.")
            continue
        moves.append(Move(path, f"{place}/{path}"))
        new.append((file, target if target.casefold() != path.casefold() else path))
    return add_files(editor, f"Upscaled {count_of(len(new), 'image')}", new, said, moves)


def _as_new(editor: CaptionEditor, intake: Intake, files: Sequence[tuple[Path, str]]) -> list[tuple[Path, str]]:
    extension, names, found = editor.settings.caption_extension, dict[str, FreeNames](), []
    for file, path in files:
        folder, _, name = path.rpartition("/")
        if folder not in names:
            names[folder] = FreeNames({one.name for one in (editor.folder / folder).iterdir()})
        stem = names[folder].free(split_ending(name)[0] + UPSCALED, (".png", extension, f"{MARKS[0]}.png"))
        begin = f"{folder}/{stem}" if folder else stem
        found.append((file, f"{begin}.png"))
        entry = editor.index.of_path(path)
        if entry is not None and entry.caption.data is not None:
            text = intake.new_file(extension)
            with writing(text, len(entry.caption.data)):
                text.write_bytes(entry.caption.data)
            found.append((text, begin + extension))
    return found
