"""Captions from file names: ``0012_red boots, hat_(2).png`` becomes ``red boots, hat``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from .tags import unique

SEPARATORS = ", ; + __"
_COUNTER_AT_END = re.compile(
    r"(?:[\s_-]+[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[\s_.#-]*[(\[]\s*\d+\s*[)\]]|[\s_.#-]+\d+|(?<=\D)(?:0\d+|\d{3,})|"
    r"[\s_-]+[0-9a-f]{16,64})$", re.IGNORECASE)
_COUNTER_AT_START = re.compile(r"^(?:[(\[]\s*\d+\s*[)\]][\s_.-]*|\d+[\s_.-]+|[0-9a-f]{16,64}[\s_-]+)", re.IGNORECASE)
_NOTHING_BUT_COUNTERS = re.compile(
    r"^(?:(?:img|dsc[nf]?|pxl|mvimg|p|image|images|photo|picture|pic|screenshot|untitled|download|file|frame|scan|copy)?"
    r"[\W_\d]*|(?=[a-f]*\d)[0-9a-f]{8,64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$", re.IGNORECASE)


@dataclass(frozen=True)
class NameRule:
    """How to make a caption from a file name.

    ``separators`` is a list, separated by blanks, of the strings that separate tags in the name; a dash between blanks
    always does. ``counters`` strips running numbers, hashes and camera names; ``underscores`` turns single underscores
    into spaces.
    """

    separators: str = SEPARATORS
    counters: bool = True
    underscores: bool = True


def caption_of_name(name: str, rule: NameRule, separator: str) -> str:
    """The caption made from the file ``name``, tags joined by ``separator``; empty if the name has no words."""
    text = PurePosixPath(name).stem
    if rule.counters:
        text = _without_counters(text)
    signs = sorted(set(rule.separators.split()), key=len, reverse=True)
    parts = re.split("|".join([*map(re.escape, signs), r"\s[-–—]\s"]), text)
    tags = []
    for part in parts:
        words = " ".join((part.replace("_", " ") if rule.underscores else part).split()).strip(" -.")
        if not words or (rule.counters and _NOTHING_BUT_COUNTERS.match(words)):
            continue
        tags.append(words.replace(separator.strip(), " ") if separator.strip() else words)
    return f"{separator.strip()} ".join(unique(tags))


def _without_counters(text: str) -> str:
    while _NOTHING_BUT_COUNTERS.match(text) is None:
        shorter = _COUNTER_AT_START.sub("", _COUNTER_AT_END.sub("", text))
        if shorter == text:
            return text
        text = shorter
    return ""
