"""Merging of redundant tags: "boots, red footwear, red boots" becomes "red boots".

The most specific tag replaces the others: those that it contains ("boots" in "red boots"), and those that name the
same thing by a more general word with the same colour ("red footwear"). Only images that have the specific tag, or
whose tags imply it ("boots, red footwear"), are changed: boots alone may be black.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .editor.index import EditorIndex, bits_of_numbers
from .tags import plain
from .words import COLOURS, NEGATIONS, is_kind_of

_LEAST_PICTURES = 2
_LEAST_SHARE = 0.25
_MOST_OF_A_WORD = 100
"""The most tags with a word in common that are compared, most frequent first; beyond that the text is hardly tags."""


@dataclass(frozen=True)
class Suggestion:
    """Replace the tags ``drop`` with ``keep`` in ``pictures``, of which those in ``adds_up`` do not have it yet."""

    keep: str
    drop: tuple[str, ...]
    pictures: tuple[int, ...]
    adds_up: tuple[int, ...]


def suggestions(index: EditorIndex, activation_tag: str = "") -> list[Suggestion]:
    """The possible merges, most images first. Tags that occur together in fewer than two images are skipped."""
    keys = [key for key in index.known_tags()
            if index.count_of(key) >= _LEAST_PICTURES and key != plain(activation_tag)]
    by_word: dict[str, list[str]] = {}
    for key in sorted(keys, key=index.count_of, reverse=True):
        for word in set(key.split(" ")):
            same = by_word.setdefault(word, [])
            if len(same) < _MOST_OF_A_WORD:
                same.append(key)
    found = []
    for keep in keys:
        drop = [other for other in _candidates(keep, by_word) if _stands_for(keep, other)
                and _together(index, keep, other)]
        if drop:
            suggestion = suggestion_of(index, keep, drop)
            if suggestion.pictures:
                found.append(suggestion)
    return sorted(_best_only(found), key=lambda item: (-len(item.pictures), item.keep))


def consolidated(tags: Sequence[str], suggestion: Suggestion) -> list[str]:
    """An image's tags after applying the suggestion: ``keep`` takes the place of the first tag it replaces."""
    drop, keep = {plain(tag) for tag in suggestion.drop}, plain(suggestion.keep)
    after: list[str] = []
    written = next((tag for tag in tags if plain(tag) == keep), suggestion.keep)
    placed = False
    for tag in tags:
        if plain(tag) in drop or plain(tag) == keep:
            if not placed:
                after.append(written)
                placed = True
        else:
            after.append(tag)
    return after


def _candidates(keep: str, by_word: dict[str, list[str]]) -> list[str]:
    return sorted({other for word in keep.split(" ") for other in by_word.get(word, ())} - {keep})


def _stands_for(keep: str, other: str) -> bool:
    """Whether ``keep`` implies ``other``."""
    words, others = keep.split(" "), other.split(" ")
    if len(words) < 2 or NEGATIONS & {*words, *others}:
        return False
    if len(others) < len(words) and words[-len(others):] == others:
        return True
    if len(others) == 1 and words[0] == others[0] and words[0].endswith("ing"):
        return True
    same_rest = set(others[:-1]) == set(words[:-1])
    return len(others) > 1 and same_rest and is_kind_of(others[-1], words[-1])


def _together(index: EditorIndex, keep: str, other: str) -> bool:
    """Whether the two tags occur together often enough to mean the same thing."""
    both = (index.bits_of(keep) & index.bits_of(other)).bit_count()
    return both >= _LEAST_PICTURES and both >= _LEAST_SHARE * index.count_of(keep)


def suggestion_of(index: EditorIndex, keep: str, drop: Sequence[str]) -> Suggestion:
    """The suggestion to replace ``drop`` with ``keep``, all as ``plain`` tags, with the images that it changes."""
    any_dropped = 0
    for key in drop:
        any_dropped |= index.bits_of(key)
    has_keep = index.bits_of(keep)
    adding_up = _adding_up(index, keep, drop) & ~has_keep
    pictures = (has_keep & any_dropped) | adding_up
    return Suggestion(index.display(keep), tuple(index.display(key) for key in drop), tuple(index.members(pictures)),
                      tuple(index.members(adding_up)))


def _adding_up(index: EditorIndex, keep: str, drop: Sequence[str]) -> int:
    """Images whose tags imply ``keep``: they have the plain thing, and its general word with the colour."""
    thing = keep.split(" ")[-1]
    found = 0
    for general in drop:
        words = general.split(" ")
        if thing in drop and len(words) > 1 and words[0] in COLOURS and is_kind_of(words[-1], thing):
            found |= index.bits_of(thing) & index.bits_of(general)
    return found


def _best_only(found: list[Suggestion]) -> list[Suggestion]:
    """Drop a suggestion if a more specific one covers all its images ("very long hair" beats "long hair")."""
    dropping: dict[str, list[int]] = {}
    pictures = [bits_of_numbers(one.pictures) for one in found]
    for place, one in enumerate(found):
        for tag in one.drop:
            dropping.setdefault(plain(tag), []).append(place)
    return [one for place, one in enumerate(found)
            if not any(other != place and not pictures[place] & ~pictures[other]
                       for other in dropping.get(plain(one.keep), ()))]
