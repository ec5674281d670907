"""Which pictures of the editor's index a filter means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...pictures.buckets import Bucket, BucketRule
from ..filter import And, Compare, Contains, Filter, InBucket, NoCaption, Not, Or, Prose, TagIs
from ..patterns import wildcard_matcher
from ..tags import plain
from .index import Caption, EditorIndex, Entry, bits_of_numbers


@dataclass(frozen=True)
class Measures:
    """What a filter may ask for beside captions: the training sizes, and how many tokens a caption has."""

    buckets: BucketRule
    tokens: Callable[[str], int]


def pictures_of(tree: Filter, index: EditorIndex, measures: Measures) -> int:
    """The set of pictures that ``tree`` means."""
    if isinstance(tree, Not):
        return index.all & ~pictures_of(tree.inner, index, measures)
    if isinstance(tree, And):
        found = index.all
        for part in tree.parts:
            found &= pictures_of(part, index, measures)
        return found
    if isinstance(tree, Or):
        found = 0
        for part in tree.parts:
            found |= pictures_of(part, index, measures)
        return found
    if isinstance(tree, TagIs):
        return tagged(index, tree.pattern, tree.exact)
    if isinstance(tree, NoCaption):
        return index.without_caption
    if isinstance(tree, Prose):
        return index.prose
    test = _contains(tree) if isinstance(tree, Contains) else _measured(tree, measures)
    return bits_of_numbers(number for number, entry in index.entries.items() if test(entry))


def tagged(index: EditorIndex, pattern: str, exact: bool = False) -> int:
    """The pictures that have a tag like ``pattern``, in which ``*`` and ``?`` are wildcards unless ``exact``."""
    key = plain(pattern)
    if exact or not ("*" in key or "?" in key):
        return index.bits_of(key)
    fits = wildcard_matcher(key)
    found = 0
    for known in filter(fits, index.known_tags()):
        found |= index.bits_of(known)
    return found


def _contains(tree: Contains) -> Callable[[Entry], bool]:
    wanted = tree.pattern.lower()
    if tree.field == "text":
        return lambda entry: wanted in (entry.caption.text or "").lower()
    fits = wildcard_matcher(wanted)
    if tree.field == "folder":
        return lambda entry: fits(entry.folder.lower()) or fits(entry.folder.rpartition("/")[2].lower())
    return lambda entry: fits(entry.name.lower()) or fits(entry.name.rpartition(".")[0].lower())


def _measured(tree: Compare | InBucket, measures: Measures) -> Callable[[Entry], bool]:
    if isinstance(tree, InBucket):
        wanted = Bucket(tree.width, tree.height)
        known: dict[tuple[int, int], bool] = {}

        def falls_in(entry: Entry) -> bool:
            size = entry.width, entry.height
            if size not in known:
                known[size] = bool(entry.width) and measures.buckets.fit(*size).bucket == wanted
            return known[size]

        return falls_in
    if tree.field == "tags":
        return lambda entry: tree.holds(len(entry.caption.tags))
    if tree.field == "tokens":
        return lambda entry: tree.holds(tokens_of(entry.caption, measures.tokens))
    number = _NUMBERS[tree.field]
    return lambda entry: bool(entry.width) and tree.holds(number(entry))


def tokens_of(caption: Caption, count: Callable[[str], int]) -> int:
    """How many tokens a caption has; counted once for each state of the caption."""
    if caption.tokens < 0:
        caption.tokens = count(caption.line)
    return caption.tokens


_NUMBERS: dict[str, Callable[[Entry], float]] = {
    "width": lambda entry: entry.width,
    "height": lambda entry: entry.height,
    "size": lambda entry: min(entry.width, entry.height),
    "ratio": lambda entry: entry.width / entry.height,
}
