"""Tags that may be wrong: unlike nearly all other images, contradictory, or at odds with the tagger."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import DatasetError
from ..files.atomic import write_atomically
from ..files.confine import HIDDEN_FOLDER, own_folder
from ..files.json_file import parse
from ..files.reading import read_file, reason
from ..files.writing import cannot_write
from .confidences import Confidences
from .editor.index import EditorIndex, Entry
from .tags import PlainTags, plain
from .words import COLOURS, EXCLUSIVE, LENGTHS, NEGATIONS, is_kind_of

KEPT_FILE = "kept.json"
UNSURE_BELOW = 0.45
SURE_ABOVE = 0.85
_NEARLY_ALL = 0.7
_RARE = 0.1
_LEAST_PICTURES = 5
_MOST_A_KIND = 2000


@dataclass(frozen=True)
class Doubt:
    """One tag of one image that may be wrong.

    ``kind``: ``rare`` (nearly all other images have ``instead``), ``clash`` (the image also has ``instead``, which
    excludes it), ``unsure`` (the tagger's ``confidence`` is low) or ``missing`` (the tagger is confident, but the
    caption does not have it).
    """

    kind: str
    picture: str
    tag: str
    instead: str = ""
    confidence: float | None = None
    having: int = 0
    others: int = 0

    @property
    def key(self) -> str:
        """The key under which ``keep`` stores it."""
        return f"{self.kind}\n{self.picture}\n{plain(self.tag)}"

    def why(self) -> str:
        """The reason, as a sentence."""
        if self.kind == "rare":
            return (f"{self.having} of {self.having + self.others} images {'has' if self.having == 1 else 'have'} "
                    f"{self.tag}, {self.others} have {self.instead}.")
        if self.kind == "clash":
            return f"The caption also has {self.instead}; an image can hardly be both."
        share = f"{100 * (self.confidence or 0):.0f}%"
        return f"The tagger is only {share} sure of it." if self.kind == "unsure" else \
            f"The tagger is {share} sure of it, but the caption does not have it."


def doubts(index: EditorIndex, confidences: Confidences, kept: frozenset[str]) -> list[Doubt]:
    """All doubtful tags except those in ``kept``, the likeliest kinds of mistake first; at most 2,000 of each kind."""
    found = []
    for kind in (_rare(index), _clashes(index), _unsure(index, confidences), _missing(index, confidences)):
        some = [doubt for doubt in kind if doubt.key not in kept]
        found += some[:_MOST_A_KIND]
    return found


def read_kept(folder: Path) -> frozenset[str]:
    """The keys of the tags that the user confirmed. Raises ``DatasetError`` if the file is damaged."""
    file = own_folder(folder, HIDDEN_FOLDER) / KEPT_FILE
    if file.is_symlink():
        raise DatasetError(f"{file} is a link, which is not followed. Remove it.")
    try:
        return frozenset(str(key) for key in parse(read_file(file)))
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError, TypeError) as problem:
        raise DatasetError(f"{file} cannot be used ({reason(problem)}). Delete it to see all doubtful tags "
                           "again.") from problem


def keep(folder: Path, keys: Iterable[str]) -> None:
    """Store these tags as confirmed. Raises ``DatasetError`` if they cannot be saved."""
    known = read_kept(folder)
    file = own_folder(folder, HIDDEN_FOLDER) / KEPT_FILE
    try:
        write_atomically(file, json.dumps(sorted(known | set(keys))))
    except OSError as problem:
        raise DatasetError(f"That this is right was not saved. {cannot_write(file, problem)}") from problem


def fixed(tags: list[str], doubt: Doubt) -> list[str]:
    """An image's tags with the doubt fixed: a rare tag is replaced, a wrong one removed, a missing one added."""
    key = plain(doubt.tag)
    if doubt.kind == "missing":
        return tags if key in map(plain, tags) else [*tags, doubt.tag]
    if doubt.kind == "rare" and plain(doubt.instead) not in map(plain, tags):
        return [doubt.instead if plain(tag) == key else tag for tag in tags]
    return [tag for tag in tags if plain(tag) != key]


def _rare(index: EditorIndex) -> list[Doubt]:
    """A colour or length that few images have where nearly all have another, such as brown hair among blonde."""
    found = []
    for values in _slots(index).values():
        usual = max(values, key=lambda key: (index.count_of(key), key))
        any_value = 0
        for key in values:
            any_value |= index.bits_of(key)
        total = any_value.bit_count()
        if total < _LEAST_PICTURES or index.count_of(usual) < _NEARLY_ALL * total:
            continue
        for key in values:
            having = index.count_of(key)
            if key != usual and having <= max(2, _RARE * total):
                found += [Doubt("rare", index.entries[number].path, index.display(key), index.display(usual), None,
                                having, index.count_of(usual)) for number in index.members(index.bits_of(key))]
    return sorted(found, key=lambda doubt: (doubt.having / max(1, doubt.others), doubt.tag, doubt.picture))


def _slots(index: EditorIndex) -> dict[tuple[str, str], list[str]]:
    """Tags that differ only in colour or length, grouped by the thing they describe."""
    slots: dict[tuple[str, str], list[str]] = {}
    for key in index.known_tags():
        words = key.split(" ")
        if len(words) < 2 or NEGATIONS & set(words):
            continue
        if words[0] in COLOURS and not COLOURS & set(words[1:]):
            slots.setdefault(("colour", " ".join(words[1:])), []).append(key)
        for length in LENGTHS:
            if key.startswith(f"{length} ") and key[len(length) + 1:].count(" ") == 0:
                slots.setdefault(("length", key[len(length) + 1:]), []).append(key)
    return {slot: values for slot, values in slots.items() if len(values) > 1}


def _clashes(index: EditorIndex) -> list[Doubt]:
    found = []
    for group in EXCLUSIVE:
        present = sorted(key for key in group if index.bits_of(key))
        for place, one in enumerate(present):
            for other in present[place + 1:]:
                if one[0].isdigit() and other[0].isdigit():
                    continue
                rarer, usual = sorted((one, other), key=lambda key: (index.count_of(key), key))
                both = index.bits_of(one) & index.bits_of(other)
                if _belong_together(one, other):
                    continue
                found += [Doubt("clash", index.entries[number].path, index.display(rarer), index.display(usual))
                          for number in index.members(both)]
    return found


def _belong_together(one: str, other: str) -> bool:
    """Whether the tags are compatible, as ``2girls`` and ``multiple girls`` are."""
    plural = {one.lstrip("0123456789"), other.lstrip("0123456789")}
    return any(word in plural and f"multiple {word}" in (one, other) for word in ("girls", "boys"))


def _unsure(index: EditorIndex, confidences: Confidences) -> list[Doubt]:
    found = []
    keys = PlainTags()
    for entry in _tagged_entries(index, confidences):
        sure = confidences.of(entry.path)
        found += [Doubt("unsure", entry.path, tag, confidence=sure[key]) for tag in entry.caption.tags
                  if sure.get(key := keys[tag], 1.0) < UNSURE_BELOW]
    return sorted(found, key=lambda doubt: (doubt.confidence or 0.0, doubt.picture))


def _missing(index: EditorIndex, confidences: Confidences) -> list[Doubt]:
    """Skips tags that no caption has (removed on purpose) and those that another tag of the image implies."""
    found = []
    keys = PlainTags()
    for entry in _tagged_entries(index, confidences):
        if entry.caption.prose or entry.caption.is_empty:
            continue
        for tag, value in confidences.as_written(entry.path):
            key = keys[tag]
            if value >= SURE_ABOVE and key not in entry.caption.keys and index.bits_of(key) \
                    and not is_said(key, entry.caption.keys):
                found.append(Doubt("missing", entry.path, tag, confidence=value))
    return sorted(found, key=lambda doubt: (-(doubt.confidence or 0.0), doubt.picture))


def _tagged_entries(index: EditorIndex, confidences: Confidences) -> list[Entry]:
    return [entry for entry in index.entries.values() if entry.path in confidences and not entry.caption.problem]


def is_said(key: str, present: frozenset[str]) -> bool:
    """Whether a more specific tag is present, such as ``red boots`` for ``boots`` or ``red footwear``."""
    words = key.split(" ")
    for other in present:
        others = other.split(" ")
        if len(others) > len(words) and others[-len(words):] == words:
            return True
        if is_kind_of(words[-1], others[-1]) and set(words[:-1]) <= set(others[:-1]):
            return True
    return False
