"""Saving and removing masks as steps of undo: what was there goes to the trash, and undo brings it back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TypeVar

from ...errors import DatasetError
from ...files.confine import TRASH_FOLDER, open_inside, own_folder
from ...files.reading import reason
from ...pictures.images import PictureError, decoded, read_header
from ...pictures.masks.find import mask_file_to_write
from ...pictures.masks.shape import png_of
from ...pictures.problems import count_of
from ..journal.apply import ConflictError
from ..journal.format import Move
from .editor import CaptionEditor, Outcome
from .new_files import NewFiles, free_folder

MOST_MASK_BYTES = 16 << 20
Done = TypeVar("Done")
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class NewMask:
    """A mask to put in place: the PNG for the image ``picture`` whose mask is ``old`` now (empty: none).

    Paths are relative to the dataset's folder.
    """

    picture: str
    old: str
    png: bytes


def put_masks(folder: Path, masks: Sequence[NewMask], carry_out: Callable[[list[Move]], Done]) -> Done:
    """Write ``masks`` into the editor's hidden folder, and call ``carry_out`` with the moves that put them in place.

    A mask that is there is moved to the trash first. Images that share a mask get the first one.
    Raises ``DatasetError`` if they cannot be written, and what ``carry_out`` raises; nothing is left behind then.
    """
    files = NewFiles(folder)
    trash = f"{TRASH_FOLDER}/{free_folder(own_folder(folder, TRASH_FOLDER))}"
    moves: dict[str, Move] = {}
    with files:
        for mask in masks:
            target = mask_file_to_write(Path(mask.picture)).as_posix()
            if f"new {target}" in moves:
                continue
            if mask.old and mask.old not in moves:
                moves[mask.old] = Move(mask.old, f"{trash}/{mask.old}")
            moves[f"new {target}"] = files.write(mask.png, target)
        return carry_out(list(moves.values()))


def save_mask(editor: CaptionEditor, number: int, png: bytes, seen: str) -> Outcome:
    """Save the painted mask ``png`` of an image, as one undo step. ``seen`` is the version of the mask it replaces.

    Raises ``DatasetError`` if it is no PNG of the image's size or black everywhere, and ``ConflictError`` if the mask
    or its image has changed since.
    """
    entry = editor.entry(number)
    grey = _checked(editor, entry.path, png)
    with editor.lock:
        editor.refresh()
        entry = editor.entry(number)
        if entry.file.mask_version != seen:
            raise ConflictError([entry.file.mask or mask_file_to_write(Path(entry.path)).as_posix()])
        return put_masks(editor.folder, [NewMask(entry.path, entry.file.mask, grey)],
                         lambda moves: editor.carry_out(f"Painted the mask of {entry.name}", moves))


def remove_masks(editor: CaptionEditor, numbers: Iterable[int]) -> Outcome:
    """Move the masks of images to the trash, as one undo step. Raises ``ConflictError`` or ``DatasetError``."""
    with editor.lock:
        masks = list(dict.fromkeys(mask for number in numbers if (mask := editor.entry(number).file.mask)))
        if not masks:
            raise DatasetError("None of the chosen images has a mask.")
        trash = f"{TRASH_FOLDER}/{free_folder(own_folder(editor.folder, TRASH_FOLDER))}"
        return editor.carry_out(f"Removed {count_of(len(masks), 'mask')}",
                                [Move(mask, f"{trash}/{mask}") for mask in masks])


def _checked(editor: CaptionEditor, picture: str, png: bytes) -> bytes:
    """The painted mask as an 8-bit grey PNG, decoded with the limits of any image."""
    name = mask_file_to_write(Path(picture)).name
    if not png.startswith(_PNG):
        raise DatasetError(f"What was sent as {name} is not a PNG. Save the mask again.")
    if len(png) > MOST_MASK_BYTES:
        raise DatasetError(f"The mask {name} has {len(png) >> 20} MB; {MOST_MASK_BYTES >> 20} MB can be saved.")
    with open_inside(editor.folder, picture) as file:
        header = read_header(editor.folder / picture, file)
    try:
        painted = read_header(Path(name), BytesIO(png))
        if (painted.width, painted.height) != (header.width, header.height):
            raise DatasetError(f"The mask has {painted.width}x{painted.height} pixels and {picture} has "
                               f"{header.width}x{header.height}. Open the mask again and save it at the image's size.")
        with decoded(Path(name), png) as mask:
            grey = mask.convert("L")
    except PictureError as problem:
        raise DatasetError(f"The mask {name} cannot be saved: {problem.reason}.") from problem
    except OSError as problem:
        raise DatasetError(f"The mask {name} cannot be saved: {reason(problem)}.") from problem
    if grey.getextrema()[1] == 0:
        raise DatasetError(f"The mask is black everywhere, so nothing of {picture} would be trained. Paint what is to "
                           "be learned; to leave the image out, move it to the trash.")
    return png_of(grey)
