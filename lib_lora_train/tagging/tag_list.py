"""The tag list of a tagger: the names of its outputs, one after the other, with their categories and thresholds."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.groups.tagger import UNUSED, TaggerDescription, TagsDescription
from ..config.groups.tagging import ARTIST, CHARACTER, COPYRIGHT, GENERAL, RATING, SPECIES
from ..errors import TaggerError
from ..files.json_file import DamagedFileError, parse
from ..files.reading import read_text, reason

_LONGEST_TAG = 1000
Row = tuple[str, str, "float | None"]
"""A tag, its category, and its own threshold if the list has one."""


@dataclass(frozen=True)
class TagList:
    """The tags of a tagger in its spelling (``red_boots``), the category of each, and what their authors recommend.

    ``thresholds`` are by category, ``own_thresholds`` by the index of a tag.
    """

    tags: tuple[str, ...]
    categories: tuple[str, ...]
    thresholds: Mapping[str, float] = field(default_factory=dict)
    own_thresholds: Mapping[int, float] = field(default_factory=dict)

    @cached_property
    def general(self) -> NDArray[np.int64]:
        """The indices of general tags and species, int64."""
        return self.places(GENERAL, SPECIES)

    @cached_property
    def named(self) -> NDArray[np.int64]:
        """The indices of characters, series and artists, int64."""
        return self.places(CHARACTER, COPYRIGHT, ARTIST)

    @cached_property
    def ratings(self) -> NDArray[np.int64]:
        """The indices of ratings, int64."""
        return self.places(RATING)

    def places(self, *categories: str) -> NDArray[np.int64]:
        """The indices of the tags in any of ``categories``, int64."""
        return np.array([place for place, category in enumerate(self.categories) if category in categories], np.int64)


def read_tag_list(path: Path, description: TaggerDescription) -> TagList:
    """Read the tag list ``path`` of a tagger. Raises ``TaggerError`` with the line or entry if it is invalid."""
    try:
        text = read_text(path)
    except (OSError, ValueError) as problem:
        raise TaggerError(f"The list of tags {path} cannot be read: {reason(problem)}. Fetch it "
                          "again.") from problem
    read = {".txt": _plain_rows, ".json": _json_rows}.get(path.suffix.lower(), _csv_rows)
    rows = list(read(text, path, description.tags))
    if not rows:
        raise TaggerError(f"The list of tags {path} is empty. Download it again.")
    thresholds = {category: value for category in {row[1] for row in rows}
                  if (value := description.threshold(category)) is not None}
    own = {place: row[2] for place, row in enumerate(rows) if row[2] is not None}
    return TagList(tuple(row[0] for row in rows), tuple(row[1] for row in rows), thresholds, own)


def category_of(word: str, name: str, tags: TagsDescription) -> str | None:
    """The category that ``word`` (a number or a name) stands for, for the tag ``name``; ``None`` if it is unknown."""
    if tags.rating_prefix and name.startswith(tags.rating_prefix):
        return RATING
    if not word:
        return tags.default_category
    return tags.categories.get(word) or tags.categories.get(word.lower())


def _row(name: str, word: str, threshold: float | None, where: str, tags: TagsDescription) -> Row:
    category = category_of(word, name, tags)
    if category is None or not 0 < len(name) <= _LONGEST_TAG:
        raise TaggerError(f"{where} has the name {name[:100]!r} and the category {word[:100]!r}; known are "
                          f"{', '.join(tags.categories) or 'none'}. If the list is right, write the category into the "
                          f"description of the tagger: tags: {{categories: {{{word[:100] or 0}: general}}}}, or "
                          f"{UNUSED} for tags that are never to be written.")
    return name.removeprefix(tags.rating_prefix) if category == RATING else name, category, threshold


def _csv_rows(text: str, path: Path, tags: TagsDescription) -> Iterator[Row]:
    try:
        reader = csv.DictReader(text.splitlines())
        if tags.name_column not in (reader.fieldnames or ()):
            raise TaggerError(f"The list of tags {path} has no column called {tags.name_column}, but "
                              f"{', '.join(reader.fieldnames or ())}. Give the list that belongs to the model, or the "
                              "column in the description: tags: {name_column: …}.")
        for row in reader:
            where = f"Line {reader.line_num} of the list of tags {path}"
            threshold = _number(row.get(tags.threshold_column) or "", where) if tags.threshold_column else None
            yield _row((row[tags.name_column] or "").strip(), (row.get(tags.category_column) or "").strip(), threshold,
                       where, tags)
    except csv.Error as problem:
        raise TaggerError(f"The list of tags {path} cannot be read: {problem}. Download it again.") from problem


def _number(text: str, where: str) -> float | None:
    if not text.strip():
        return None
    if not re.fullmatch(r"\s*[01](\.[0-9]+)?(e-[0-9]+)?\s*|\s*\.[0-9]+\s*", text):
        raise TaggerError(f"{where} has the threshold {text[:100]!r}. It has to be between 0 and 1.")
    return float(text)


def _plain_rows(text: str, path: Path, tags: TagsDescription) -> Iterator[Row]:
    """A list with one tag on each line; ``tags-character.txt`` next to DeepDanbooru's lists the names."""
    names = path.with_name("tags-character.txt")
    try:
        named = {line.strip() for line in read_text(names).splitlines()} if names.is_file() else set()
    except (OSError, ValueError) as problem:
        raise TaggerError(f"The list of names {names} cannot be read: {reason(problem)}. "
                          "Download it again.") from problem
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            name, category, _ = _row(line.strip(), "", None, f"Line {number} of the list of tags {path}", tags)
            yield name, CHARACTER if name in named else category, None


def _json_rows(text: str, path: Path, tags: TagsDescription) -> Iterator[Row]:
    """``{"0": {"tag", "category"}}``, a list of those or of tags, or ``idx_to_tag`` with ``tag_to_category``."""
    try:
        found: Any = parse(text)
    except DamagedFileError as problem:
        raise TaggerError(f"The list of tags {path} cannot be read: {problem}. Download it again.") from problem
    for part in filter(None, tags.json_path.split("/")):
        if not isinstance(found, dict) or part not in found:
            raise TaggerError(f"The list of tags {path} has nothing at {tags.json_path}. Give the list that belongs to "
                              "the model, or the place in the description: tags: {json_path: …}.")
        found = found[part]
    words = found.get("tag_to_category", {}) if isinstance(found, dict) else {}
    entries = found.get("idx_to_tag", found) if isinstance(found, dict) else found
    for place, entry in enumerate(_in_order(entries, path)):
        where = f"Entry {place} of the list of tags {path}"
        name, word = (entry.get("tag", entry.get("name")), entry.get("category", "")) if isinstance(entry, dict) \
            else (entry, words.get(entry, "") if isinstance(entry, str) and isinstance(words, dict) else "")
        if not isinstance(name, str) or not isinstance(word, (str, int)):
            raise TaggerError(f"{where} is {str(entry)[:100]!r}. It has to be a tag, or a tag with its category.")
        yield _row(name.strip(), str(word).strip(), None, where, tags)


def _in_order(entries: Any, path: Path) -> list[Any]:
    """The entries of a list, or of an object whose keys are the numbers from 0, in their order."""
    if isinstance(entries, list):
        return entries
    if isinstance(entries, dict) and all(re.fullmatch("[0-9]{1,7}", str(key)) for key in entries):
        numbered = {int(key): value for key, value in entries.items()}
        missing = next((place for place in range(len(numbered)) if place not in numbered), None)
        if missing is None:
            return [numbered[place] for place in range(len(numbered))]
        raise TaggerError(f"The list of tags {path} has {len(numbered)} tags, but none with the number {missing}. "
                          "Download it again.")
    raise TaggerError(f"The list of tags {path} is neither a list nor an object with the numbers of the outputs. If it "
                      "is deeper in the file, write where into the description: tags: {json_path: …}.")
