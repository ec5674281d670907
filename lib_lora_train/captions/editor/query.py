"""Evaluation of filters on the editor's index."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ...pictures.buckets import Bucket, BucketRule
from ..filter import FIELDS, And, Compare, Contains, Filter, HasMask, InBucket, NoCaption, Not, Or, Prose, TagIs
from ..patterns import star_matcher, wildcard_matcher
from ..tags import plain
from .index import Caption, EditorIndex, Entry, bits_of_numbers


@dataclass(frozen=True)
class Measures:
    """What a filter needs besides the index: the bucket rule, a token counter and the dataset's folder."""

    buckets: BucketRule
    tokens: Callable[[str], int]
    folder: str


def pictures_of(tree: Filter, index: EditorIndex, measures: Measures) -> int:
    """The set of images that match ``tree``."""
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
    if isinstance(tree, HasMask):
        return index.masked
    test = _contains(tree, measures.folder) if isinstance(tree, Contains) else _measured(tree, measures)
    return bits_of_numbers(number for number, entry in index.entries.items() if test(entry))


def tagged(index: EditorIndex, pattern: str, exact: bool = False) -> int:
    """The images with a tag that matches ``pattern``, in which ``*`` and ``?`` are wildcards unless ``exact``."""
    key = plain(pattern)
    if exact or not ("*" in key or "?" in key):
        return index.bits_of(key)
    fits = wildcard_matcher(key)
    found = 0
    for known in filter(fits, index.known_tags()):
        found |= index.bits_of(known)
    return found


def unknown_tags(tree: Filter, index: EditorIndex) -> Iterator[TagIs]:
    """The tags in ``tree`` that no image has, in order."""
    if isinstance(tree, TagIs) and not tagged(index, tree.pattern, tree.exact):
        yield tree
    for part in tree.parts if isinstance(tree, And | Or) else (tree.inner,) if isinstance(tree, Not) else ():
        yield from unknown_tags(part, index)


def mask_words(tree: Filter) -> Iterator[HasMask]:
    """The words ``mask`` and ``nomask`` in ``tree``, in order."""
    if isinstance(tree, HasMask):
        yield tree
    for part in tree.parts if isinstance(tree, And | Or) else (tree.inner,) if isinstance(tree, Not) else ():
        yield from mask_words(part)


def about_unknown(tag: TagIs) -> str:
    """The message about a tag that no image has, with a hint if it resembles another program's operator or a field."""
    words = f'No caption has the tag "{tag.pattern}".'
    if tag.exact:
        return words
    if _OTHER_OPERATORS.search(tag.pattern):
        return f"{words} AND, OR and NOT are written in capitals."
    return f"{words} Fields are {', '.join(FIELDS)}." if _LIKE_A_FIELD.match(tag.pattern) else words


_OTHER_OPERATORS = re.compile(r"(?:^|\s)(?:and|or|not|&&?|\|\|?)(?:\s|$)|^[!-]\w", re.IGNORECASE)
_LIKE_A_FIELD = re.compile(r"\w{2,}:\S")


def _contains(tree: Contains, dataset: str) -> Callable[[Entry], bool]:
    """A test for any part of the text; with wildcards, for the whole name or path, with or without extension."""
    wanted = tree.pattern.lower()
    wild = "*" in wanted or "?" in wanted
    if tree.field == "text":
        contains = star_matcher(f"*{wanted}*")
        return lambda entry: contains((entry.caption.text or "").lower())
    names = {"folder": lambda entry: (entry.folder, entry.folder.rpartition("/")[2]),
             "name": lambda entry: (entry.name, entry.name.rpartition(".")[0]),
             "path": lambda entry: (f"{dataset}/{entry.path}", entry.path)}[tree.field]
    if tree.field in ("folder", "path"):
        wanted = wanted.replace("\\", "/")
    if not wild:
        return lambda entry: wanted in names(entry)[0].lower()
    fits = wildcard_matcher(wanted)
    return lambda entry: any(fits(name.lower()) for name in names(entry))


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
    if tree.field == "chars":
        return lambda entry: tree.holds(len(entry.caption.line.strip()))
    if tree.field == "tokens":
        return lambda entry: tree.holds(tokens_of(entry.caption, measures.tokens))
    if tree.field == "weight":
        return lambda entry: tree.holds(entry.weight.weight)
    if tree.field == "repeats":
        return lambda entry: tree.holds(entry.weight.repeats)
    number = _NUMBERS[tree.field]
    return lambda entry: bool(entry.width) and tree.holds(number(entry))


def tokens_of(caption: Caption, count: Callable[[str], int]) -> int:
    """The number of tokens of a caption, cached until the caption changes."""
    if caption.tokens < 0:
        caption.tokens = count(caption.line)
    return caption.tokens


_NUMBERS: dict[str, Callable[[Entry], float]] = {
    "width": lambda entry: entry.width,
    "height": lambda entry: entry.height,
    "size": lambda entry: min(entry.width, entry.height),
    "ratio": lambda entry: entry.width / entry.height,
}
