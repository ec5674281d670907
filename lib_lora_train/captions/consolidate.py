"""Tags that say one thing several times: "boots, red footwear, red boots" becomes "red boots".

The tag that says most stands for the others: one contains another ("boots" in "red boots"), or names the same thing
by a general word with the same colour ("red footwear"). Only pictures that have the telling tag, or whose tags add up
to it ("boots, red footwear"), are changed: boots alone may be black.
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
"""So many tags with a word in common are compared, the most frequent; thousands of them are not tags."""


@dataclass(frozen=True)
class Suggestion:
    """Let ``keep`` stand for ``drop`` in ``pictures``; ``adds_up`` are those of them that do not have ``keep`` yet."""

    keep: str
    drop: tuple[str, ...]
    pictures: tuple[int, ...]
    adds_up: tuple[int, ...]


def suggestions(index: EditorIndex, activation_tag: str = "") -> list[Suggestion]:
    """What can be consolidated, most pictures first. Tags that stand together in less than two pictures are left."""
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
    """A picture's tags with the suggestion carried out: ``keep`` stands where the first of them stood."""
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
    """Whether ``keep`` says all that ``other`` does about the same thing."""
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
    """Whether the two stand in the same pictures often enough to mean the same thing there."""
    both = (index.bits_of(keep) & index.bits_of(other)).bit_count()
    return both >= _LEAST_PICTURES and both >= _LEAST_SHARE * index.count_of(keep)


def suggestion_of(index: EditorIndex, keep: str, drop: Sequence[str]) -> Suggestion:
    """Which pictures change if ``keep`` stands for ``drop``; both as ``plain`` gives them."""
    any_dropped = 0
    for key in drop:
        any_dropped |= index.bits_of(key)
    has_keep = index.bits_of(keep)
    adding_up = _adding_up(index, keep, drop) & ~has_keep
    pictures = (has_keep & any_dropped) | adding_up
    return Suggestion(index.display(keep), tuple(index.display(key) for key in drop), tuple(index.members(pictures)),
                      tuple(index.members(adding_up)))


def _adding_up(index: EditorIndex, keep: str, drop: Sequence[str]) -> int:
    """Pictures without ``keep`` whose tags amount to it: the thing itself, and its general word with the colour."""
    thing = keep.split(" ")[-1]
    found = 0
    for general in drop:
        words = general.split(" ")
        if thing in drop and len(words) > 1 and words[0] in COLOURS and is_kind_of(words[-1], thing):
            found |= index.bits_of(thing) & index.bits_of(general)
    return found


def _best_only(found: list[Suggestion]) -> list[Suggestion]:
    """Leave out a suggestion all of whose pictures are better served by one with more words ("very long hair")."""
    dropping: dict[str, list[int]] = {}
    pictures = [bits_of_numbers(one.pictures) for one in found]
    for place, one in enumerate(found):
        for tag in one.drop:
            dropping.setdefault(plain(tag), []).append(place)
    return [one for place, one in enumerate(found)
            if not any(other != place and not pictures[place] & ~pictures[other]
                       for other in dropping.get(plain(one.keep), ()))]
