"""The new caption of an image, from its current caption and the tagger's tags."""

from __future__ import annotations

from collections.abc import Sequence

from ..captions.tags import is_prose, plain, unique
from ..config.groups.tagging import AFTER_TAGS, APPEND, BEFORE_TAGS, CONFIDENCES_ONLY, IF_EMPTY, PREPEND
from ..pictures.caption_files import join_tags, split_tags, used_line


def with_prose(tags: Sequence[str], prose: str, place: str) -> list[str]:
    """The parts of a caption: ``tags``, and the sentence ``prose`` before, after or instead of them.

    A sentence in front of tags loses its period, so that it is separated like a tag. Without a sentence there are only
    the tags.
    """
    sentence = " ".join(prose.split())
    if not sentence:
        return list(tags)
    if place == BEFORE_TAGS:
        return [sentence.rstrip(".") if tags else sentence, *tags]
    return [*tags, sentence] if place == AFTER_TAGS else [sentence]


def composed(text: str, tags: Sequence[str], first: Sequence[str], mode: str, separator: str) -> str:
    """The new text of a caption file after a run in ``mode``; ``text`` is the current one, empty if there is no file.

    ``first`` are the tags that begin every caption. Lines after the trained one are kept, unless the caption is
    overwritten. Tags, and a sentence among them, that are present in any spelling are not added again.
    """
    if mode == CONFIDENCES_ONLY or (mode == IF_EMPTY and text.strip()):
        return text
    fresh = join_tags(unique([*first, *tags]), separator)
    if mode not in (APPEND, PREPEND) or not text.strip():
        return fresh or text
    caption = used_line(text)
    return caption.with_line(_added(caption.line, tags, first, mode, separator))


def _added(line: str, tags: Sequence[str], first: Sequence[str], mode: str, separator: str) -> str:
    there = {plain(tag) for tag in split_tags(line, separator)}
    leading = {plain(tag) for tag in first}
    whole = plain(line)
    new = [tag for tag in unique(tags) if plain(tag) not in there | leading
           and not (separator.strip() in tag and plain(tag).rstrip(".") in whole)]
    before = new if mode == PREPEND else []
    after = new if mode == APPEND else []
    rest = line
    if before or not _begins_with(line, first, separator):
        rest = join_tags([part for part in (*first, *before, _without(line, first, separator)) if part], separator)
    if not after:
        return rest
    return join_tags([rest.rstrip().removesuffix(separator.strip()).rstrip(), *after], separator)


def _begins_with(line: str, first: Sequence[str], separator: str) -> bool:
    return [plain(tag) for tag in split_tags(line, separator)[:len(first)]] == [plain(tag) for tag in first]


def _without(line: str, first: Sequence[str], separator: str) -> str:
    """``line`` without the tags ``first``, which will be put in front; prose is returned unchanged."""
    moved = {plain(tag) for tag in first}
    if not moved or is_prose(line, separator):
        return line
    tags = split_tags(line, separator)
    kept = [tag for tag in tags if plain(tag) not in moved]
    return join_tags(kept, separator) if len(kept) < len(tags) else line
