"""Import of captions from file names or metadata: the preview and the edit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..errors import DatasetError
from ..pictures.caption_files import join_tags, split_tags, used_line
from ..pictures.problems import count_of
from .editor.editor import CaptionEditor, Outcome, Preview
from .file_names import NameRule, caption_of_name
from .metadata_json import captions_in_metadata
from .tags import is_prose, plain, unique

EMPTY, REPLACE, APPEND, PREPEND = MODES = ("empty", "replace", "append", "prepend")


@dataclass(frozen=True)
class Incoming:
    """Captions to import, by image number; ``unmatched`` are entries or names without one, each with the reason."""

    captions: Mapping[int, str]
    unmatched: tuple[tuple[str, str], ...]
    what: str


@dataclass(frozen=True)
class IncomingPlan:
    """The effect of an import on the selected images.

    ``captions`` change, ``kept`` keep the caption they have, ``same`` have the text already, ``without`` get none,
    ``unreadable`` are skipped, and ``outside`` captions belong to images that are not selected.
    """

    captions: int
    kept: int
    same: int
    without: int
    unreadable: int
    outside: int
    previews: tuple[Preview, ...]
    unmatched: tuple[tuple[str, str], ...]
    unmatched_total: int


def from_names(editor: CaptionEditor, rule: NameRule, numbers: Iterable[int]) -> Incoming:
    """The captions in the file names of the images ``numbers``."""
    captions: dict[int, str] = {}
    unmatched = []
    with editor.lock:
        for number in numbers:
            entry = editor.entry(number)
            caption = caption_of_name(entry.name, rule, editor.settings.caption_separator)
            if caption:
                captions[number] = caption
            else:
                unmatched.append((entry.path, "has no words in its name"))
    return Incoming(captions, tuple(unmatched), "file names")


def from_metadata(editor: CaptionEditor, text: str, part: str) -> Incoming:
    """The captions in sd-scripts' metadata ``text``. Raises ``DatasetError`` if it is not such metadata."""
    with editor.lock:
        numbers = {entry.path: number for number, entry in editor.index.entries.items()}
        matched = captions_in_metadata(text, numbers, editor.folder.as_posix(), part,
                                       editor.settings.caption_separator)
    captions = {numbers[path]: caption for path, caption in matched.captions.items()}
    return Incoming(captions, matched.unmatched, "metadata")


def plan(editor: CaptionEditor, incoming: Incoming, numbers: Iterable[int], mode: str, most: int) -> IncomingPlan:
    """The effect of ``take_in``, with up to ``most`` previews and unmatched entries."""
    with editor.lock:
        chosen = list(numbers)
        texts, kept, same = _new_texts(editor, incoming, chosen, mode)
        unreadable = sum(bool(editor.index.entries[number].caption.problem) for number in chosen
                         if number in editor.index.entries and number in incoming.captions)
        previews = [Preview(number, editor.entry(number).caption.text or "", text)
                    for number, text in list(texts.items())[:most]]
        return IncomingPlan(len(texts), kept, same, sum(number not in incoming.captions for number in chosen),
                            unreadable, len(incoming.captions.keys() - set(chosen)), tuple(previews),
                            incoming.unmatched[:most], len(incoming.unmatched))


def take_in(editor: CaptionEditor, incoming: Incoming, numbers: Iterable[int], mode: str) -> Outcome:
    """Import the captions for the images ``numbers``, as one undo step. Raises as ``CaptionEditor.set_texts``."""
    with editor.lock:
        texts, kept, _ = _new_texts(editor, incoming, numbers, mode)
        done = editor.set_texts(texts, f"Took {count_of(len(texts), 'caption')} from {incoming.what} ({mode})")
        left = [f"{count_of(kept, 'image')} with a caption left alone."] if kept else []
        if incoming.unmatched:
            left.append(f"{len(incoming.unmatched)} of the metadata's entries not used."
                        if incoming.what == "metadata"
                        else f"{count_of(len(incoming.unmatched), 'file name')} without words.")
        return Outcome(done.label, done.changed, (*done.left, *left))


def combined(text: str, new: str, mode: str, separator: str) -> str:
    """The caption file's text after importing ``new``; tags that it has already are not added again."""
    cut = used_line(text)
    if not cut.line.strip() or mode == REPLACE:
        return new
    if mode == EMPTY or new in cut.line:
        return text
    if is_prose(new, separator) or is_prose(cut.line, separator):
        first, second = (cut.line, new) if mode == APPEND else (new, cut.line)
        first = first.rstrip().removesuffix(separator.strip())
        return cut.with_line(f"{first} {second}" if first.endswith((".", "!", "?"))
                             else join_tags([first, second], separator))
    old = split_tags(cut.line, separator)
    there = {plain(tag) for tag in old}
    more = [tag for tag in unique(split_tags(new, separator)) if plain(tag) not in there]
    if not more:
        return text
    return cut.with_line(join_tags([*old, *more] if mode == APPEND else [*more, *old], separator))


def _new_texts(editor: CaptionEditor, incoming: Incoming, numbers: Iterable[int],
               mode: str) -> tuple[dict[int, str], int, int]:
    """The new texts, one for each caption file that changes; the number kept, and the number already the same."""
    if mode not in MODES:
        raise DatasetError(f"{mode!r} is no way to put captions in. Choose one of: {', '.join(MODES)}.")
    texts: dict[int, str] = {}
    files: set[str] = set()
    kept = same = 0
    for number in numbers:
        entry = editor.index.entries.get(number)
        new = incoming.captions.get(number)
        if entry is None or new is None or entry.caption.problem or entry.caption.path in files:
            continue
        files.add(entry.caption.path)
        before = entry.caption.text or ""
        after = combined(before, new, mode, editor.settings.caption_separator)
        if after != before:
            texts[number] = after
        elif mode == EMPTY and new != before:
            kept += 1
        else:
            same += 1
    return texts, kept, same
