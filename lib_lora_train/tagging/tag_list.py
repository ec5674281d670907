"""The tag list of a tagger: the names of its outputs, row by row."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..config.taggers import E621_CATEGORIES, TaggerFiles
from ..errors import TaggerError
from ..files.reading import read_text, reason

_GENERAL, _NAME, _RATING, _UNUSED = "general", "name", "rating", "unused"
# Danbooru: 0 general, 1 artist, 3 series, 4 character, 5 meta (resolution …), 9 rating (WD14 only).
_DANBOORU: Mapping[int, str] = {0: _GENERAL, 1: _NAME, 3: _NAME, 4: _NAME, 5: _UNUSED, 9: _RATING}
# e621: 0 general, 1 artist, 3 series, 4 character, 5 species, 6 invalid, 7 meta, 8 lore.
_E621: Mapping[int, str] = {0: _GENERAL, 1: _NAME, 3: _NAME, 4: _NAME, 5: _GENERAL, 6: _UNUSED, 7: _UNUSED, 8: _UNUSED}
_RATING_PREFIX = "rating:"
_LONGEST_TAG = 1000


@dataclass(frozen=True)
class TagList:
    """The tags of a tagger in its spelling (``red_boots``), and the kinds of its outputs.

    ``general``, ``named`` (characters, series, artists) and ``ratings`` are int64 arrays of indices into ``tags``.
    """

    tags: tuple[str, ...]
    general: NDArray[np.int64]
    named: NDArray[np.int64]
    ratings: NDArray[np.int64]


def read_tag_list(files: TaggerFiles) -> TagList:
    """Read the list next to the model. Raises ``TaggerError`` with the line if it is invalid."""
    try:
        text = read_text(files.tags)
    except (OSError, ValueError) as problem:
        raise TaggerError(f"The list of tags {files.tags} cannot be read: {reason(problem)}. Fetch it "
                          "again.") from problem
    if files.tags.suffix == ".txt":
        rows = _plain_rows(text, files.tags)
    else:
        rows = _csv_rows(text, files.tags, _E621 if files.categories == E621_CATEGORIES else _DANBOORU)
    if not rows:
        raise TaggerError(f"The list of tags {files.tags} is empty. Download it again.")
    places = {kind: np.array([place for place, row in enumerate(rows) if row[1] == kind], np.int64)
              for kind in (_GENERAL, _NAME, _RATING)}
    return TagList(tuple(tag for tag, _ in rows), places[_GENERAL], places[_NAME], places[_RATING])


def _csv_rows(text: str, path: Path, kinds: Mapping[int, str]) -> list[tuple[str, str]]:
    try:
        return _rows_of(csv.DictReader(text.splitlines()), path, kinds)
    except csv.Error as problem:
        raise TaggerError(f"The list of tags {path} cannot be read: {problem}. Download it again.") from problem


def _rows_of(reader: csv.DictReader[str], path: Path, kinds: Mapping[int, str]) -> list[tuple[str, str]]:
    if "name" not in (reader.fieldnames or ()):
        raise TaggerError(f"The list of tags {path} has no column called name, but "
                          f"{', '.join(reader.fieldnames or ())}. Give the list that belongs to the model.")
    rows = []
    for row in reader:
        name, category = (row["name"] or "").strip(), (row.get("category") or "0").strip()
        kind = kinds.get(int(category)) if re.fullmatch(r"[0-9]{1,3}", category) else None
        if kind is None or not 0 < len(name) <= _LONGEST_TAG:
            raise TaggerError(f"Line {reader.line_num} of the list of tags {path} has the name {name[:100]!r} "
                              f"and the category {category[:100]!r}; known are {', '.join(map(str, kinds))}.")
        rows.append((name.removeprefix(_RATING_PREFIX), _RATING if name.startswith(_RATING_PREFIX) else kind))
    return rows


def _plain_rows(text: str, path: Path) -> list[tuple[str, str]]:
    """A DeepDanbooru project's ``tags.txt``, one tag per line; ``tags-character.txt`` next to it lists the names."""
    names = path.with_name("tags-character.txt")
    try:
        named = set(read_text(names).split()) if names.is_file() else set()
    except (OSError, ValueError) as problem:
        raise TaggerError(f"The list of names {names} cannot be read: {reason(problem)}. "
                          "Download it again.") from problem
    rows = []
    for tag in text.split():
        kind = _RATING if tag.startswith(_RATING_PREFIX) else _NAME if tag in named else _GENERAL
        rows.append((tag.removeprefix(_RATING_PREFIX), kind))
    return rows
