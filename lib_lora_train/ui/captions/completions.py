"""Tag completion while typing: first the dataset's own tags, then those of the taggers."""

from __future__ import annotations

import csv
import logging
import re
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...captions.editor.index import EditorIndex
from ...captions.tags import plain
from ...config.taggers import taggers_in
from ...files.json_file import parse
from ...files.reading import read_text

_MOST = 12
_NAME_COLUMNS = ("name", "tag", "tag_name")
_COUNT_COLUMNS = ("count", "post_count")


class TaggerTags:
    """The tags of the taggers on this machine, most frequent first. Read once, on first use."""

    def __init__(self, taggers: Path) -> None:
        self._taggers = taggers
        self._lock = threading.Lock()
        self._state: tuple[tuple[str, int], ...] | None = None
        self._tags: list[str] = []

    def tags(self) -> list[str]:
        """Return all tags; empty if there is no tagger."""
        files = [files.tags for files in taggers_in(self._taggers)]
        state = tuple((str(file), file.stat().st_mtime_ns) for file in files)
        with self._lock:
            if state != self._state:
                self._tags, self._state = _merged(files), state
            return self._tags


def completions(text: str, index: EditorIndex, tagger_tags: Iterable[str]) -> list[dict[str, Any]]:
    """Completions of ``text``: the dataset's tags with their ``count``, then the tagger's without."""
    wanted = plain(text)
    if not wanted:
        return []
    own = [(tag, count) for tag, count in index.tag_counts(part=text)]
    own.sort(key=lambda item: (_distance(plain(item[0]), wanted), -item[1], item[0]))
    found: list[dict[str, Any]] = [{"tag": tag, "count": count} for tag, count in own[:_MOST]]
    known = {plain(tag) for tag, _ in own}
    others: tuple[list[str], ...] = ([], [], [])
    for tag in tagger_tags:
        if wanted in tag and tag not in known:
            others[_distance(tag, wanted)].append(tag)
            if len(others[0]) >= _MOST:
                break
    found += [{"tag": tag, "count": None} for distance in others for tag in distance]
    return found[:_MOST]


def _distance(tag: str, wanted: str) -> int:
    """Rank of a match: 0 at the start of the tag, 1 at the start of one of its words, 2 anywhere in it."""
    if tag.startswith(wanted):
        return 0
    return 1 if f" {wanted}" in tag else 2


def _merged(files: Iterable[Path]) -> list[str]:
    counts: dict[str, int] = {}
    for file in files:
        try:
            for tag, count in _listed(file):
                counts[tag] = max(count, counts.get(tag, 0))
        except (OSError, ValueError, csv.Error) as problem:
            logging.getLogger(__name__).warning("%s cannot be read for completing tags: %s", file, problem)
    return sorted(counts, key=lambda tag: (-counts[tag], tag))


def _listed(file: Path) -> Iterable[tuple[str, int]]:
    """The tags of a tagger's list with their frequencies; in a plain list every frequency is 1."""
    lines = read_text(file).splitlines()
    if file.suffix == ".txt":
        yield from ((plain(line), 1) for line in lines if line.strip())
        return
    if file.suffix == ".json":
        yield from ((plain(tag), 1) for tag in _tags_in(parse("\n".join(lines))))
        return
    for row in csv.DictReader(lines):
        if row.get("category") == "9":
            continue
        name = next((row[column] for column in _NAME_COLUMNS if row.get(column)), "")
        count = next((row[column] for column in _COUNT_COLUMNS if row.get(column)), "0")
        if name:
            yield plain(name), int(count) if re.fullmatch(r"[0-9]{1,15}", count) else 0


def _tags_in(found: Any) -> Iterable[str]:
    """The tags of a list in JSON: below ``idx_to_tag``, wherever that is, else every tag of the list itself."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, list):
        for entry in found:
            yield from _tags_in(entry)
    elif isinstance(found, dict):
        if isinstance(found.get("tag"), str):
            yield found["tag"]
        else:
            nested = found["idx_to_tag"] if "idx_to_tag" in found else [
                value for value in found.values() if isinstance(value, dict)]
            yield from _tags_in(list(nested.values()) if isinstance(nested, dict) else nested)
