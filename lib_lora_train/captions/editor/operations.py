"""Operations on captions: each maps a caption's text to a new one.

Tag operations skip prose unless ``include_prose`` is set; then they work on whole words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import DatasetError
from ...pictures.caption_files import join_tags, split_tags, used_line
from ...pictures.problems import count_of
from ..patterns import Cancel, substitute, whole_words, wildcard_matcher
from ..tags import PlainTags, is_prose, plain, unique

KINDS = ("add", "remove", "replace", "rename", "dedupe", "sort", "regex_tag", "regex_caption", "join_lines", "cut")
PLACES = ("first", "last", "after")
ORDERS = ("count", "confidence", "alphabet", "activation")
_LONGEST_TAG = 1000


@dataclass(frozen=True)
class Operation:
    """An operation on captions.

    ``add``: insert ``tags`` at ``place`` (``after``: after the tag ``after``, if present). ``remove``: remove ``tags``.
    ``replace``: replace all of ``tags`` with one ``replacement``, which also merges tags. In both, ``*`` is a wildcard
    unless ``exact``. ``rename``: rename the single tag to ``replacement``, also where it is a part of prose.
    ``dedupe``: remove duplicates. ``sort``: sort by ``order``. ``regex_tag`` and ``regex_caption``: substitute
    ``replacement`` for ``pattern`` in each tag or in the whole text. ``join_lines``: join all lines into the first, the
    only one that is trained on. ``cut``: remove tags from the end until at most ``limit`` tokens are left.
    """

    kind: str
    tags: tuple[str, ...] = ()
    replacement: str = ""
    place: str = "last"
    after: str = ""
    order: str = "alphabet"
    pattern: str = ""
    ignore_case: bool = False
    limit: int = 0
    include_prose: bool = False
    exact: bool = False


@dataclass(frozen=True)
class Surroundings:
    """The context of an operation: separator, trigger word, and tag statistics.

    ``counts`` maps a ``plain`` tag to the number of captions with it, ``tokens`` a text to its number of tokens.
    ``cancel`` cancels a running pattern.
    """

    separator: str = ","
    activation_tag: str = ""
    counts: Callable[[str], int] = field(default=lambda key: 0)
    tokens: Callable[[str], int] = field(default=len)
    cancel: Cancel | None = None


def check_operation(operation: Operation) -> None:
    """Raise ``DatasetError`` if ``operation`` is incomplete or invalid, before anything is changed."""
    kind = operation.kind
    if kind not in KINDS:
        raise DatasetError(f"{kind!r} is nothing that can be done to captions. Choose one of: {', '.join(KINDS)}.")
    if kind in ("add", "remove", "replace", "rename") and not any(tag.strip() for tag in operation.tags):
        raise DatasetError("No tag is given. Type the tag.")
    if kind == "add" and operation.place not in PLACES:
        raise DatasetError(f"A tag can be added first, last or after another, not {operation.place!r}.")
    if kind == "add" and operation.place == "after" and not operation.after.strip():
        raise DatasetError("The tag to add it after is not given.")
    if kind == "sort" and operation.order not in ORDERS:
        raise DatasetError(f"Tags can be sorted by {', '.join(ORDERS)}, not by {operation.order!r}.")
    if kind == "cut" and operation.limit < 1:
        raise DatasetError(f"A caption cannot be cut to {operation.limit} tokens.")
    if kind.startswith("regex") and not operation.pattern:
        raise DatasetError("No pattern is given.")
    if kind == "rename" and (len(operation.tags) != 1 or not operation.replacement.strip()):
        raise DatasetError("One tag gets one new name. Type the new name.")
    names = (*operation.tags, operation.after, operation.replacement if kind == "rename" else "")
    if any(len(tag) > _LONGEST_TAG for tag in names):
        raise DatasetError(f"A tag has at most {_LONGEST_TAG} characters here. Type a shorter one.")


def edited(texts: Sequence[str], operation: Operation, around: Surroundings,
           confidences: Sequence[Mapping[str, float]] | None = None) -> list[str]:
    """The texts after ``operation``; unaffected ones are returned unchanged.

    ``confidences``, one mapping of ``plain`` tags for each text, are used by ``sort`` only.
    Raises ``DatasetError`` if the operation is incomplete or its pattern takes too long.
    """
    check_operation(operation)
    if operation.kind == "regex_caption":
        return substitute(operation.pattern, operation.replacement, texts, operation.ignore_case, cancel=around.cancel)
    if operation.kind == "join_lines":
        return [_joined_lines(text, around.separator) for text in texts]
    if operation.kind == "rename":
        return _all_renamed(texts, operation, around)
    if operation.kind == "regex_tag":
        return _each_tag_substituted(texts, operation, around)
    edit = _editor_of(operation, around)
    known: Sequence[Mapping[str, float]] = confidences or [{}] * len(texts)
    return [_with_tags(text, operation, around, edit, sure) for text, sure in zip(texts, known, strict=True)]


TagEdit = Callable[[list[str], Mapping[str, float]], list[str]]


def _with_tags(text: str, operation: Operation, around: Surroundings, edit: TagEdit, sure: Mapping[str, float]) -> str:
    cut = used_line(text)
    if is_prose(cut.line, around.separator):
        return cut.with_line(_edited_prose(cut.line, operation, around)) if operation.include_prose else text
    before = split_tags(cut.line, around.separator)
    after = edit(before, sure)
    return text if after == before else cut.with_line(join_tags(after, around.separator))


def _editor_of(operation: Operation, around: Surroundings) -> TagEdit:
    """The function that computes a caption's new tags from its old ones."""
    keys = PlainTags()
    tags = unique(tag.strip() for tag in operation.tags if tag.strip())
    if operation.kind == "add":
        return lambda before, sure: _added(before, tags, operation, plain(around.activation_tag), keys)
    if operation.kind == "remove":
        fits = _any_of(tags, operation.exact)
        return lambda before, sure: [tag for tag in before if not fits(keys[tag])]
    if operation.kind == "replace":
        fits, new = _any_of(tags, operation.exact), split_tags(operation.replacement, around.separator)
        return lambda before, sure: _replaced(before, fits, new, keys)
    if operation.kind == "dedupe":
        return lambda before, sure: unique(before)
    if operation.kind == "cut":
        return lambda before, sure: _cut(before, operation.limit, around)
    return lambda before, sure: _sorted(before, operation.order, around, sure, keys)


def _any_of(patterns: Sequence[str], exact: bool) -> Callable[[str], bool]:
    keys = {plain(pattern) for pattern in patterns}
    matchers = [] if exact else [wildcard_matcher(key) for key in keys if "*" in key]
    return lambda key: key in keys or any(matches(key) for matches in matchers)


def _added(before: list[str], tags: Sequence[str], operation: Operation, activation: str,
           keys: PlainTags) -> list[str]:
    """Add ``tags``. An existing tag is moved if the place is ``first``, else left; the trigger word stays in front."""
    new = {keys[tag] for tag in tags}
    if operation.place == "first":
        rest = [tag for tag in before if keys[tag] not in new]
        kept_first = 1 if rest and activation and keys[rest[0]] == activation else 0
        return [*rest[:kept_first], *tags, *rest[kept_first:]]
    present = {keys[tag] for tag in before}
    missing = [tag for tag in tags if keys[tag] not in present]
    if operation.place == "last":
        return [*before, *missing]
    anchor = plain(operation.after)
    places = [place for place, tag in enumerate(before, start=1) if keys[tag] == anchor]
    return [*before[:places[0]], *missing, *before[places[0]:]] if places else before


def _replaced(before: list[str], fits: Callable[[str], bool], new: Sequence[str], keys: PlainTags) -> list[str]:
    first = next((place for place, tag in enumerate(before) if fits(keys[tag])), None)
    if first is None:
        return before
    new_keys = {keys[tag] for tag in new}
    ahead = {keys[tag] for tag in before[:first]}
    inserted = [tag for tag in new if keys[tag] not in ahead]
    return [*before[:first], *inserted,
            *(tag for tag in before[first:] if not fits(keys[tag]) and keys[tag] not in new_keys)]


def _all_renamed(texts: Sequence[str], operation: Operation, around: Surroundings) -> list[str]:
    """The texts with one tag renamed; where the new name exists already, the two are merged."""
    old, new, sign = operation.tags[0].strip(), operation.replacement.strip(), around.separator.strip()
    if sign and sign in new:
        raise DatasetError(f"A tag's name cannot contain {sign!r}, which separates tags. To make several tags "
                           "of one, use \"Replace or merge\".")
    keys = PlainTags()
    key, words = plain(old), whole_words(old)
    after = []
    for text in texts:
        cut = used_line(text)
        if not is_prose(cut.line, around.separator):
            before = split_tags(cut.line, around.separator)
            tags = _replaced(before, key.__eq__, [new], keys)
            after.append(text if tags == before else cut.with_line(join_tags(tags, around.separator)))
            continue
        line = _renamed_part(cut.line, key, new, around.separator)
        after.append(cut.with_line(words.sub(lambda found: new, line) if operation.include_prose else line))
    return after


def _renamed_part(line: str, key: str, new: str, separator: str) -> str:
    """Prose with the part ``key`` between two separators renamed to ``new`` and everything else unchanged."""
    parts = line.split(separator)
    keys = [plain(part) for part in parts]
    if key not in keys:
        return line
    there = key != plain(new) and plain(new) in keys
    first = keys.index(key)
    kept = [part.replace(part.strip(), new) if place == first else part
            for place, (part, own) in enumerate(zip(parts, keys, strict=True))
            if own != key or (place == first and not there)]
    return separator.join(kept).strip()


def _sorted(before: list[str], order: str, around: Surroundings, sure: Mapping[str, float],
            keys: PlainTags) -> list[str]:
    """The trigger word is first in every order; tags without a confidence are last."""
    activation = plain(around.activation_tag)
    ranks: dict[str, Callable[[str], tuple[float, str]]] = {
        "alphabet": lambda key: (0.0, key),
        "count": lambda key: (-around.counts(key), ""),
        "confidence": lambda key: (-sure.get(key, -1.0), ""),
        "activation": lambda key: (0.0, ""),
    }
    rank = ranks[order]
    return sorted(before, key=lambda tag: (keys[tag] != activation or not activation, *rank(keys[tag])))


def _cut(before: list[str], limit: int, around: Surroundings) -> list[str]:
    """The longest prefix of tags with at most ``limit`` tokens, by bisection: more tags never have fewer tokens."""
    if around.tokens(join_tags(before, around.separator)) <= limit:
        return before
    fitting, too_many = 1, len(before)
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        if around.tokens(join_tags(before[:middle], around.separator)) <= limit:
            fitting = middle
        else:
            too_many = middle
    return before[:fitting]


def _each_tag_substituted(texts: Sequence[str], operation: Operation, around: Surroundings) -> list[str]:
    """Substitute in each distinct tag once."""
    separator = around.separator
    cuts = [used_line(text) for text in texts]
    tags = [[] if is_prose(cut.line, separator) and not operation.include_prose else split_tags(cut.line, separator)
            for cut in cuts]
    different = sorted({tag for caption in tags for tag in caption})
    becomes = dict(zip(different, substitute(operation.pattern, operation.replacement, different,
                                             operation.ignore_case, cancel=around.cancel), strict=True))
    after = []
    for text, cut, caption in zip(texts, cuts, tags, strict=True):
        if all(becomes[tag] == tag for tag in caption):
            after.append(text)
        else:
            new = [part for tag in caption for part in split_tags(becomes[tag], separator)]
            after.append(cut.with_line(join_tags(new, separator)))
    return after


def _edited_prose(line: str, operation: Operation, around: Surroundings) -> str:
    """The prose after ``operation``: ``add`` puts tags before or after it, ``remove`` and ``replace`` match words."""
    if operation.kind == "add":
        wanted = [tag for tag in operation.tags if not whole_words(tag).search(line)]
        if operation.place == "after":
            more = " ".join(wanted)
            return whole_words(operation.after).sub(lambda found: f"{found[0]} {more}".rstrip(), line, count=1)
        added = join_tags(wanted, around.separator)
        if not added:
            return line
        if operation.place == "first":
            return join_tags([added, line], around.separator)
        return f"{line} {added}" if line.endswith((".", "!", "?")) else join_tags([line, added], around.separator)
    if operation.kind in ("remove", "replace"):
        new = operation.replacement.strip() if operation.kind == "replace" else ""
        after = line
        for tag in operation.tags:
            if "*" not in tag:
                after = whole_words(tag).sub(lambda found: new, after)
        return line if after == line else _tidied(after, around.separator)
    return line


def _tidied(line: str, separator: str) -> str:
    """``line`` without the gaps left by removed words."""
    sign = separator.strip()
    line = re.sub(r"[ \t]{2,}", " ", line)
    ends = rf"{re.escape(sign)}|[.!?]" if sign else "[.!?]"
    line = re.sub(rf"(?<!\s)\s+(?={ends})", "", line)  # matches from the first of several blanks only: linear time
    if sign:
        parts = line.split(sign)
        line = sign.join([part for part in parts[:-1] if part.strip()] + parts[-1:])
    return line.strip(f" {sign}")


def _joined_lines(text: str, separator: str) -> str:
    cut = used_line(text)
    more = [line.strip() for line in cut.after.splitlines() if line.strip()]
    if not more:
        return text
    if is_prose(cut.line, separator):
        return cut.before + " ".join([cut.line, *more])
    return cut.before + join_tags([tag for line in [cut.line, *more] for tag in split_tags(line, separator)], separator)


def describe(operation: Operation, captions: int) -> str:
    """The operation's label in the history: ``Added red boots to 12 captions``."""
    tags = ", ".join(operation.tags)
    tags = tags if len(tags) <= 60 else f"{tags[:57]}…"
    of = count_of(captions, "caption")
    where = {"first": " first", "last": "", "after": f" after {operation.after}"}.get(operation.place, "")
    return {"add": f"Added {tags}{where} to {of}",
            "remove": f"Removed {tags} from {of}",
            "rename": f"Renamed {tags} to {operation.replacement.strip()} in {of}",
            "replace": f"Replaced {tags} with {operation.replacement.strip() or 'nothing'} in {of}",
            "dedupe": f"Removed repeated tags from {of}",
            "sort": f"Sorted {of} by {operation.order}" if operation.order != "activation"
                    else f"Put the trigger word first in {of}",
            "regex_tag": f"Pattern {operation.pattern} on the tags of {of}",
            "regex_caption": f"Pattern {operation.pattern} on {of}",
            "cut": f"Cut {of} to {operation.limit} tokens",
            "join_lines": f"Joined the lines of {of}"}[operation.kind]
