"""The edit history: what each edit changed, and undo or redo to any point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...errors import DatasetError
from ...pictures.caption_files import NotTextError, split_tags, text_of, used_line
from ...pictures.images import PICTURE_ENDINGS
from ...pictures.masks.find import MARKS
from ...pictures.problems import count_of
from ..journal.apply import ConflictError
from ..journal.format import BatchInfo, Change, Move, Write
from ..journal.journal import History
from ..tags import PlainTags, is_prose
from .editor import CaptionEditor, Outcome, Preview

_MOST_TAGS = 6


@dataclass(frozen=True)
class EditChanges:
    """The changes of one edit: added and removed tags with the number of captions, most frequent first.

    ``more`` is the number of tags not listed; ``reordered`` counts captions with the same tags in another order,
    ``sentences`` prose captions and ``moved`` files. ``picture`` is the relative path of one affected image, if any.
    """

    added: tuple[tuple[str, int], ...] = ()
    removed: tuple[tuple[str, int], ...] = ()
    more: int = 0
    reordered: int = 0
    sentences: int = 0
    moved: int = 0
    picture: str = ""


@dataclass(frozen=True)
class WayBack:
    """A preview of going to a point of the history. ``seen`` is the current state of the history.

    ``edits`` is the number of edits undone, or redone if not ``back``; ``captions`` would change, ``moved`` files move.
    """

    seen: str
    back: bool
    edits: int
    captions: int
    moved: int
    previews: tuple[Preview, ...]


def changes_of_edit(editor: CaptionEditor, number: int) -> EditChanges:
    """The changes of the edit ``number``. Raises ``DatasetError`` if the journal no longer has it."""
    changes = editor.journal.changes(number)
    separator, keys = editor.settings.caption_separator, PlainTags()
    added: Counter[str] = Counter()
    removed: Counter[str] = Counter()
    display: dict[str, str] = {}
    reordered = sentences = 0
    for change in changes:
        if not isinstance(change, Write):
            continue
        old, new = _line(change.path, change.old), _line(change.path, change.new)
        if is_prose(old, separator) or is_prose(new, separator):
            sentences += 1
            continue
        before, after = ({keys[tag]: tag for tag in split_tags(line, separator)} for line in (old, new))
        display.update(before | after)
        came, gone = ([key for key in these if key not in others]
                      for these, others in ((after, before), (before, after)))
        added.update(came)
        removed.update(gone)
        reordered += not came and not gone
    moved = sum(isinstance(change, Move) for change in changes)
    most = [tuple((display[key], count) for key, count in counted.most_common(_MOST_TAGS))
            for counted in (added, removed)]
    return EditChanges(most[0], most[1], max(0, len(added) - _MOST_TAGS) + max(0, len(removed) - _MOST_TAGS),
                       reordered, sentences, moved, _picture(editor, changes))


def way_to(editor: CaptionEditor, number: int, most_previews: int) -> WayBack:
    """A preview of ``go_to``. Raises ``DatasetError`` if that edit is not in the history."""
    with editor.lock:
        history = editor.history()
        back, batches = _batches_to(history, number)
        files, moved = _files_between(editor, batches, back)
        previews: list[Preview] = []
        captions = 0
        for path, (now, then) in files.items():
            if now == then:
                continue
            captions += 1
            caption = editor.index.captions.get(path)
            if caption is not None and len(previews) < most_previews:
                previews.append(Preview(caption.users[0], _text(path, now), _text(path, then)))
        return WayBack(state_of(history), back, len(batches), captions, moved, tuple(previews))


def go_to(editor: CaptionEditor, number: int, seen: str, leave: Sequence[str] = ()) -> Outcome:
    """Undo the edit ``number`` and all after it; or, if it was undone, redo all up to it. Skips the files ``leave``.

    Raises ``DatasetError`` if the history has changed since ``seen``, and ``ConflictError`` if another program changed
    captions since; then nothing is undone.
    """
    with editor.lock:
        history = editor.history()
        if seen != state_of(history):
            raise DatasetError("The history has changed meanwhile. Open it again.")
        editor.refresh()
        back, batches = _batches_to(history, number)
        _refuse_changed(editor, batches, back, leave)
        changed: dict[int, None] = {}
        left: list[str] = []
        done = 0
        for _ in batches:
            try:
                outcome = editor.undo(leave) if back else editor.redo(leave)
            except ConflictError as problem:
                if not done:
                    raise
                left.append(f"Stopped after {count_of(done, 'edit')}: {problem}")
                break
            done += 1
            changed.update(dict.fromkeys(outcome.changed))
            left += outcome.left
        verb = "Undid" if back else "Redid"
        return Outcome(f"{verb} {count_of(done, 'edit')}", tuple(changed), tuple(left))


def state_of(history: History) -> str:
    """A key that identifies the state of the history."""
    newest = history.batches[-1].number if history.batches else 0
    return f"{newest}:{history.position}"


def _batches_to(history: History, number: int) -> tuple[bool, list[BatchInfo]]:
    """Whether to undo (else redo), and the edits up to ``number`` in the order to process them."""
    place = next((place for place, batch in enumerate(history.batches) if batch.number == number), None)
    if place is None:
        raise DatasetError("That edit is not in the history any more. Open it again.")
    if place < history.position:
        return True, list(history.batches[place:history.position][::-1])
    return False, list(history.batches[history.position:place + 1])


def _files_between(editor: CaptionEditor, batches: Iterable[BatchInfo],
                   back: bool) -> tuple[dict[str, tuple[bytes | None, bytes | None]], int]:
    """The content of each written file now and afterwards, and the number of moved files."""
    files: dict[str, tuple[bytes | None, bytes | None]] = {}
    moved = 0
    for batch in batches:
        for change in editor.journal.changes(batch.number):
            if isinstance(change, Move):
                moved += 1
                continue
            turned = change.back() if back else change
            files[change.path] = files.get(change.path, (turned.old, None))[0], turned.new
    return files, moved


def _refuse_changed(editor: CaptionEditor, batches: Iterable[BatchInfo], back: bool, leave: Sequence[str]) -> None:
    """Raise ``ConflictError`` if a file has changed since the newest edit; with moves, each step checks its own."""
    files, moved = _files_between(editor, batches, back)
    if moved:
        return
    wrong = []
    for path, (now, _) in files.items():
        caption = editor.index.captions.get(path)
        if caption is not None and caption.data != now and path not in leave:
            wrong.append(path)
    if wrong:
        raise ConflictError(wrong)


def _picture(editor: CaptionEditor, changes: Sequence[Change]) -> str:
    for change in changes:
        for path in (change.target, change.source) if isinstance(change, Move) else (change.path,):
            caption = editor.index.captions.get(path)
            if caption is not None:
                return editor.index.entries[caption.users[0]].path
            if editor.index.of_path(path) is not None:
                return path
            image = _image_of_mask(editor, path)
            if image:
                return image
    return ""


def _image_of_mask(editor: CaptionEditor, path: str) -> str:
    """The image whose mask the editor writes as ``path``; empty if it is not a mask's path."""
    stem = path.removesuffix(f"{MARKS[0]}.png")
    found = (f"{stem}{ending}" for ending in PICTURE_ENDINGS) if stem != path else ()
    return next((image for image in found if editor.index.of_path(image) is not None), "")


def _text(path: str, data: bytes | None) -> str:
    try:
        return text_of(data or b"", path)
    except NotTextError:
        return ""


def _line(path: str, data: bytes | None) -> str:
    return used_line(_text(path, data)).line
