"""Operations on a selection: common tags, copying tags, and the effect of renaming a tag."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..patterns import whole_words
from ..tags import plain, unique
from .editor import CaptionEditor
from .index import Entry, bits_of_numbers

_MOST_SOME = 100


@dataclass(frozen=True)
class CommonTags:
    """The tags of several images: ``common`` to all, in the order of the first caption, and of ``some`` with counts.

    ``images`` does not count ``sentences`` (prose captions) and ``unreadable``; ``more`` tags of some are not listed.
    """

    images: int
    common: tuple[str, ...]
    some: tuple[tuple[str, int], ...]
    more: int
    sentences: int
    unreadable: int


@dataclass(frozen=True)
class CopiedTags:
    """Tags to paste, without duplicates; ``sentences`` counts prose captions, of which only leading tags are copied."""

    tags: tuple[str, ...]
    images: int
    sentences: int


@dataclass(frozen=True)
class RenameFacts:
    """The number of images with the tag, with the new name, with both, and with the tag in a sentence."""

    having: int
    existing: int
    both: int
    sentences: int


def common_tags(editor: CaptionEditor, numbers: Iterable[int]) -> CommonTags:
    """The common tags of the images ``numbers``; ignores images that no longer exist."""
    with editor.lock:
        index = editor.index
        entries = _entries(editor, numbers)
        listed = [entry for entry in entries if not entry.caption.prose and not entry.caption.problem]
        among = bits_of_numbers(entry.id for entry in listed)
        counts = {plain(tag): (tag, count) for tag, count in index.tag_counts(among) if count}
        every = len(listed)
        first = listed[0].caption.tags if listed else ()
        common = tuple(tag for tag in unique(first) if counts[plain(tag)][1] == every)
        some = [(tag, count) for tag, count in counts.values() if count < every]
        return CommonTags(every, common, tuple(some[:_MOST_SOME]), max(0, len(some) - _MOST_SOME),
                          sum(entry.caption.prose for entry in entries),
                          sum(bool(entry.caption.problem) for entry in entries))


def copied_tags(editor: CaptionEditor, numbers: Iterable[int]) -> CopiedTags:
    """The tags of the images ``numbers`` in caption order, image by image in the editor's order."""
    with editor.lock:
        wanted = bits_of_numbers(entry.id for entry in _entries(editor, numbers))
        entries = [editor.index.entries[number] for number in editor.index.members(wanted, editor.order())]
        tags = unique(tag for entry in entries for tag in entry.caption.tags)
        return CopiedTags(tuple(tags), len(entries), sum(entry.caption.prose for entry in entries))


def rename_facts(editor: CaptionEditor, tag: str, name: str) -> RenameFacts:
    """The effect of renaming ``tag`` to ``name`` across the set; ``existing`` is 0 if only the spelling differs."""
    with editor.lock:
        index = editor.index
        old, new = plain(tag), plain(name)
        having = index.bits_of(old)
        existing = index.bits_of(new) if new != old else 0
        words = whole_words(tag)
        sentences = sum(1 for number in index.members(index.prose & ~having)
                        if words.search(index.entries[number].caption.line))
        return RenameFacts(having.bit_count(), existing.bit_count(), (having & existing).bit_count(), sentences)


def _entries(editor: CaptionEditor, numbers: Iterable[int]) -> list[Entry]:
    known = editor.index.entries
    return [known[number] for number in dict.fromkeys(numbers) if number in known]
