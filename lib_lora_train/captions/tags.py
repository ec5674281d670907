"""Tags of a caption: telling them from prose, and comparing them regardless of spelling."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..pictures.caption_files import split_tags

_SENTENCE_END = re.compile(r"[a-z\d\"')]{2}[.!?](?:\s|$)", re.IGNORECASE)
_SENTENCE_WORDS = 4
_LONGEST_TAG_WORDS = 5
_MOST_WORDS_A_TAG = 3.0


def is_prose(line: str, separator: str = ",") -> bool:
    """Whether a caption is prose rather than a list of tags.

    It is if a sentence ends after four words or more, if a part has more than five words, or if its parts have more
    than three words on average. ``Laetitia walking on a flower field`` is prose, ``Laetitia, 1girl`` isn't.
    """
    return is_prose_of(line, [len(part.split()) for part in split_tags(line, separator)])


def is_prose_of(line: str, words: Sequence[int]) -> bool:
    """As ``is_prose``, given the number of words of each part of the line."""
    if not words:
        return False
    if max(words) > _LONGEST_TAG_WORDS or sum(words) > _MOST_WORDS_A_TAG * len(words):
        return True
    has_end = "." in line or "!" in line or "?" in line
    return has_end and max(words) >= _SENTENCE_WORDS and _SENTENCE_END.search(line) is not None


def plain(tag: str) -> str:
    """A tag normalized for comparison: lower case, underscores as spaces, ``\\(`` as ``(``, single spaces."""
    words = tag.replace("\\(", "(").replace("\\)", ")").replace("_", " ").lower().split()
    return " ".join(words) or tag.lower().strip()


class PlainTags(dict[str, str]):
    """A dictionary that maps tags to ``plain`` tags and computes each once."""

    def __missing__(self, tag: str) -> str:
        key = self[tag] = plain(tag)
        return key


def unique(tags: Iterable[str]) -> list[str]:
    """The tags without duplicates, in order."""
    seen: set[str] = set()
    kept = []
    for tag in tags:
        key = plain(tag)
        if key not in seen:
            seen.add(key)
            kept.append(tag)
    return kept
