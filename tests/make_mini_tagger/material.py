"""Pictures and their tags, from the unpacked npm packages that demo/tagger/CARD.md names."""

from __future__ import annotations

import csv
import json
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

GENERAL, CHARACTER, RATING = 0, 4, 9
RATINGS = ("general", "sensitive", "questionable", "explicit")
LEAST_PICTURES = 10
"""A keyword that fewer training pictures have cannot be learned and is skipped."""

_SAYS_NOTHING = {"not", "two", "good", "like", "late", "early", "words", "meaning", "schedule", "other_symbol",
                 "place_other", "plant_other", "object_other"}
"""Keywords that no picture shows."""

_SKIN_TONES = {f"1f3f{digit}" for digit in "bcdef"}
_LEFT_OUT_GROUPS = {"Flags", "Component"}
_PERSON_WORDS = ("man ", "woman ", "mx ", "mrs. ")
_SAME_BEING = {"mermaid": "merperson", "merman": "merperson", "santa claus": "claus"}


@dataclass(frozen=True)
class Picture:
    """One emoji: its files (the plain one first, then skin tones), its tags, and whether it is kept for testing."""

    files: tuple[Path, ...]
    name: str
    tags: frozenset[str]
    character: str | None
    held_out: bool


@dataclass(frozen=True)
class Tag:
    """One row of ``selected_tags.csv``."""

    name: str
    category: int
    count: int


def read_pictures(fluent: Path, datasource: Path, emojilib: Path) -> list[Picture]:
    """Every emoji but flags, joined on the code points.

    Held out are one in seven, chosen by its code, and every third picture of a character.
    """
    characters: Counter[str] = Counter()
    files = _files_by_emoji(fluent / "assets")
    keywords = json.loads((emojilib / "dist" / "emoji-en-US.json").read_text("utf-8"))
    pictures = []
    for entry in json.loads((datasource / "emoji.json").read_text("utf-8")):
        code = _bare(entry["unified"])
        if code not in files or entry["category"] in _LEFT_OUT_GROUPS:
            continue
        emoji = "".join(chr(int(point, 16)) for point in entry["unified"].split("-"))
        words = keywords.get(emoji) or keywords.get(emoji.replace("\ufe0f", "")) or []
        own = {*words, entry["subcategory"], entry["category"].split(" & ")[0]}
        tags = frozenset(tag for tag in map(_as_tag, own) if tag)
        character = _character(entry["name"].lower(), entry["subcategory"])
        held_out = zlib.crc32(code.encode()) % 7 == 0
        if character:
            characters[character] += 1
            held_out = characters[character] % 3 == 0
        pictures.append(Picture(files[code], entry["name"].lower(), tags, character, held_out))
    return pictures


def choose_tags(pictures: list[Picture]) -> list[Tag]:
    """Ratings first, then keywords and characters by how many training pictures have them, as WD14's lists are."""
    training = [picture for picture in pictures if not picture.held_out]
    counts = Counter(tag for picture in training for tag in picture.tags)
    characters = Counter(picture.character for picture in training if picture.character)
    general = [Tag(name, GENERAL, count) for name, count in _by_count(counts) if count >= LEAST_PICTURES]
    named = [Tag(name, CHARACTER, count) for name, count in _by_count(characters) if count >= 2]
    return [Tag(RATINGS[0], RATING, len(training)), *(Tag(name, RATING, 0) for name in RATINGS[1:]), *general, *named]


def write_tags(tags: list[Tag], path: Path) -> None:
    """Write ``selected_tags.csv`` with WD14's columns; a row's place is the place of its probability."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("tag_id", "name", "category", "count"))
        writer.writerows((number, tag.name, tag.category, tag.count) for number, tag in enumerate(tags))


def _files_by_emoji(folder: Path) -> dict[str, tuple[Path, ...]]:
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("*.webp"), key=lambda file: (len(file.stem), file.stem)):
        plain = "-".join(part for part in _bare(file.stem).split("-") if part not in _SKIN_TONES)
        found.setdefault(plain, []).append(file)
    return {code: tuple(files) for code, files in found.items()}


def _bare(code: str) -> str:
    return "-".join(part for part in code.lower().split("-") if part != "fe0f")


def _as_tag(word: str) -> str:
    """The word as Danbooru would write it, or nothing if it is not made of letters."""
    tag = word.lower().strip().replace(" ", "_").replace("-", "_")
    letters = tag.replace("_", "")
    return tag if letters.isascii() and letters.isalpha() and len(tag) > 2 and tag not in _SAYS_NOTHING else ""


def _character(name: str, subgroup: str) -> str | None:
    """Beings that several pictures show, such as ``vampire_(emoji)``."""
    if subgroup == "cat-face":
        return "grinning_cat_(emoji)"
    if subgroup == "monkey-face":
        return "wise_monkey_(emoji)"
    if subgroup != "person-fantasy":
        return None
    for word in _PERSON_WORDS:
        name = name.removeprefix(word)
    being = _SAME_BEING.get(name, name)
    return f"{being.replace(' ', '_')}_(emoji)" if being.replace(" ", "").isalpha() else None


def _by_count(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
