"""Cropping, turning and trimming images of a dataset, with their captions and masks, as one undo step."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import DatasetError
from ...files.confine import TRASH_FOLDER, open_inside
from ...pictures.caption_files import MOST_CAPTION_BYTES, bytes_of, too_large
from ...pictures.editing.saving import NEW_ENDING, NEW_FORMAT, encoded
from ...pictures.editing.turning import UNTURNED, Frame, Turn, cut_out
from ...pictures.images import PICTURE_ENDINGS, PictureError, as_stored
from ...pictures.listing import PictureFile
from ...pictures.masks.find import mask_file_to_write
from ...pictures.masks.read import open_mask
from ...pictures.masks.shape import method_of, png_of
from ...pictures.origin import EDITED, MADE, origin_of
from ...pictures.weights import WEIGHT_ENDING, weight_file
from ..journal.apply import ConflictError
from ..journal.format import Change, Move, Write
from .editor import CaptionEditor, Outcome
from .index import Caption
from .new_files import NewFiles, free_folder
from .pictures import Names, companion_users

NAME_WORDS = ("crop", "face", "portrait", "detail", "turned")
"""What a new image is called after its source."""

_EARLIER_CROP = re.compile(rf"-(?:{'|'.join(NAME_WORDS)})(?:-\d+)?$")

Progress = Callable[[int, int], bool]
"""Gets the number of finished images and of all; returns whether to continue."""


class StoppedError(DatasetError):
    """The user stopped the edit; nothing was changed."""


@dataclass(frozen=True)
class ImageEdit:
    """An edit of the image ``number``: turn it, then cut out ``frame`` (``None``: all of the turned image).

    ``file`` is the image as it was when the edit was planned. A new image is called by ``word``, one of ``NAME_WORDS``;
    ``in_place`` replaces the image. ``caption`` is the text of the result's caption, ``None`` for the image's own.
    """

    number: int
    file: PictureFile
    turn: Turn = UNTURNED
    frame: Frame | None = None
    in_place: bool = False
    word: str = NAME_WORDS[0]
    caption: str | None = None


@dataclass(frozen=True)
class _Source:
    """An edit with what is known of its image; ``stem`` is the name of a new image, relative and without extension."""

    edit: ImageEdit
    caption: Caption
    stem: str


def edit_images(editor: CaptionEditor, edits: Sequence[ImageEdit], label: str,
                progress: Progress | None = None) -> Outcome:
    """Carry out ``edits`` as one undo step, called ``label`` in the history.

    The new files are written first, and replaced images go to the trash, so that nothing is lost at any point. An image
    that cannot be decoded is left alone if there are others. Raises ``ConflictError``, ``StoppedError`` or
    ``DatasetError`` with nothing changed.
    """
    with editor.lock:
        sources = _sources(editor, edits)
        files = NewFiles(editor.folder)
        trash = f"{TRASH_FOLDER}/{free_folder(editor.folder / TRASH_FOLDER)}"
    with files:
        changes, left = _written(editor, sources, files, trash, progress)
        with editor.lock:
            _refuse_changed(editor, edits)
            return editor.carry_out(label, changes, left)


def _sources(editor: CaptionEditor, edits: Sequence[ImageEdit]) -> list[_Source]:
    _refuse_changed(editor, edits)
    users = companion_users(editor)
    names: dict[str, Names] = {}
    sources = []
    for edit in edits:
        entry = editor.entry(edit.number)
        if edit.word not in NAME_WORDS:
            raise DatasetError(f"{edit.word[:60]!r} cannot end the name of a new image. Choose one of "
                               f"{', '.join(NAME_WORDS)}.")
        if edit.in_place and entry.file.mask and len(users[entry.file.mask]) > 1:
            raise DatasetError(f"The mask {entry.file.mask} belongs to several images whose names differ only in their "
                               "extension, so it cannot be cropped with one of them. Rename the images first.")
        stem = ""
        if not edit.in_place:
            if entry.folder not in names:
                names[entry.folder] = Names(editor, entry.folder)
            name = names[entry.folder].free_stem(*_name_of_crop(entry.name, edit.word))
            stem = f"{entry.folder}/{name}" if entry.folder else name
        sources.append(_Source(edit, entry.caption, stem))
    return sources


def _name_of_crop(name: str, word: str) -> tuple[str, Sequence[str], str]:
    """The stem of a crop of the image ``name``, the endings that must be free with it, and what follows the stem.

    A crop of a crop has one word, and that of a machine-made image keeps its mark at the end.
    """
    stem = Path(name).stem
    mark = {"edit": EDITED, "made": MADE}.get(origin_of(name), "")
    if mark:
        stem = stem[:stem.lower().rindex(mark)]
    return _EARLIER_CROP.sub("", stem) or stem, PICTURE_ENDINGS, f"-{word}{mark}"


def _refuse_changed(editor: CaptionEditor, edits: Iterable[ImageEdit]) -> None:
    """Raise ``ConflictError``, after a refresh, for images that were changed or deleted since the edit was planned."""
    changed = []
    for edit in edits:
        try:
            state = Path(editor.folder, edit.file.path).stat()
        except OSError:
            changed.append(edit.file.path)
            continue
        entry = editor.index.entries.get(edit.number)
        if entry is None or entry.file != edit.file or (state.st_mtime_ns, state.st_size) != (
                edit.file.modified_ns, edit.file.size):
            changed.append(edit.file.path)
    if changed:
        editor.refresh()
        raise ConflictError(changed)


def _written(editor: CaptionEditor, sources: Sequence[_Source], files: NewFiles, trash: str,
             progress: Progress | None) -> tuple[list[Change], list[str]]:
    """The changes that make the edits, their new files written; and what was left alone, one sentence each."""
    changes: list[Change] = []
    left: list[str] = []
    for done, source in enumerate(sources):
        if progress is not None and not progress(done, len(sources)):
            raise StoppedError("Stopped. Nothing was changed.")
        try:
            changes += _changes_of(editor, source, files, trash)
        except PictureError as problem:
            if len(sources) == 1:
                raise
            left.append(f"{source.edit.file.path} left alone: {problem.reason}.")
    return changes, left


def _changes_of(editor: CaptionEditor, source: _Source, files: NewFiles, trash: str) -> list[Change]:
    edit = source.edit
    path = editor.folder / edit.file.path
    content = _content(editor, edit.file.path)
    with as_stored(path, content) as stored:
        kind = stored.format if edit.in_place else NEW_FORMAT
        size = stored.picture.size
        new = encoded(cut_out(stored.picture, edit.turn, edit.frame), stored, kind)
    image = edit.file.path if edit.in_place else source.stem + NEW_ENDING
    changes: list[Change] = [Move(edit.file.path, f"{trash}/{edit.file.path}")] if edit.in_place else []
    changes.append(files.write(new, image))
    if edit.file.mask:
        changes += _mask_changes(editor, edit, image, size, files, trash)
    if edit.file.weight_stamp is not None and not edit.in_place:
        changes.append(Write(source.stem + WEIGHT_ENDING, None, _content(editor, weight_file(edit.file.path))))
    caption = _caption_change(editor, source)
    return [*changes, *([] if caption is None else [caption])]


def _mask_changes(editor: CaptionEditor, edit: ImageEdit, image: str, size: tuple[int, int], files: NewFiles,
                  trash: str) -> list[Change]:
    """The mask turned and cropped like its image of ``size``, and saved beside ``image``."""
    content = _content(editor, edit.file.mask)
    mask = open_mask(editor.folder / edit.file.mask, editor.folder / edit.file.path, size, content)
    target = mask_file_to_write(Path(image)).as_posix()
    part = cut_out(mask, edit.turn, edit.frame).convert("L")
    if part.getextrema()[1] == 0:
        raise PictureError(editor.folder / edit.file.path,
                           f"its mask {edit.file.mask} is black everywhere in the crop, so nothing of it would be "
                           "trained; choose another part, or paint the mask first")
    new = files.write(png_of(part, method_of(content)), target)
    return [Move(edit.file.mask, f"{trash}/{edit.file.mask}"), new] if edit.in_place else [new]


def _caption_change(editor: CaptionEditor, source: _Source) -> Write | None:
    """The caption of the result; ``None`` if it has none, or keeps its own."""
    edit, caption = source.edit, source.caption
    text = caption.text if edit.caption is None else edit.caption
    if edit.in_place and (edit.caption is None or edit.caption == (caption.text or "")):
        return None
    if edit.in_place and caption.problem:
        raise DatasetError(caption.problem)
    new = caption.data if text is None else bytes_of(text, caption.data)  # in another encoding, it stays as it is
    path = caption.path if edit.in_place else source.stem + editor.settings.caption_extension
    if new is None or (not new.strip() and caption.data is None):
        return None
    if len(new) > MOST_CAPTION_BYTES:
        raise DatasetError(f"Nothing was changed: {too_large(path, len(new))}")
    return Write(path, caption.data if edit.in_place else None, new)


def _content(editor: CaptionEditor, relative: str) -> bytes:
    with open_inside(editor.folder, relative) as file:
        return file.read()
