"""A tagger's file of thresholds, by category or by tag, where its description names one."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config.groups.tagger import TaggerDescription
from ..config.groups.tagging import CATEGORIES
from ..errors import TaggerError
from ..files.json_file import DamagedFileError, parse
from ..files.reading import read_text, reason
from .tag_list import TagList, category_of

_NAMES = ("tag", "name", "category")


def with_thresholds_file(tags: TagList, path: Path, description: TaggerDescription) -> TagList:
    """``tags`` with the thresholds in ``path``; unchanged if there is no such file.

    A .csv has a column ``threshold`` and one called tag, name or category. A .json has them by category at the
    description's ``thresholds.json_path``, or as an object of tags or categories. Raises ``TaggerError`` if it cannot
    be understood.
    """
    if not path.is_file():
        return tags
    try:
        text = read_text(path)
        pairs = list(_from_json(text, path, description) if path.suffix.lower() == ".json" else _from_csv(text, path))
    except (OSError, ValueError, DamagedFileError, csv.Error) as problem:
        raise TaggerError(f"The thresholds {path} cannot be read: {reason(problem)}. Download the file again, or "
                          "delete it and set the thresholds in the form.") from problem
    places = {tag: place for place, tag in enumerate(tags.tags)}
    by_category, by_tag = dict(tags.thresholds), dict(tags.own_thresholds)
    for word, value in pairs:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1:
            raise TaggerError(f"The thresholds {path} have {value!r} for {word[:100]!r}. It has to be between 0 and 1.")
        category = word if word in CATEGORIES else category_of(word, word, description.tags) if word else None
        if word in places:
            by_tag[places[word]] = float(value)
        elif category is not None:
            by_category[category] = float(value)
    return replace(tags, thresholds=by_category, own_thresholds=by_tag)


def _from_csv(text: str, path: Path) -> Iterator[tuple[str, float]]:
    reader = csv.DictReader(text.splitlines())
    column = next((name for name in _NAMES if name in (reader.fieldnames or ())), None)
    if column is None or "threshold" not in (reader.fieldnames or ()):
        raise TaggerError(f"The thresholds {path} have the columns {', '.join(reader.fieldnames or ())}. There have to "
                          "be threshold, and tag, name or category.")
    for row in reader:
        yield (row[column] or "").strip(), float(row["threshold"] or "nan")


def _from_json(text: str, path: Path, description: TaggerDescription) -> Iterator[tuple[str, Any]]:
    found: Any = parse(text)
    if not isinstance(found, dict):
        raise TaggerError(f"The thresholds {path} hold {type(found).__name__}; an object by category or tag is needed.")
    where = description.thresholds.json_path
    if not where:
        yield from ((str(word), value) for word, value in found.items())
        return
    for category in CATEGORIES:
        value: Any = found
        for part in where.replace("{category}", category).split("/"):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            yield category, value
