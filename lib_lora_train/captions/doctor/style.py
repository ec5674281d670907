"""The style of a set's captions: booru tags, e621 tags or sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...pictures.caption_files import split_tags
from ...pictures.scan import Picture
from ..tags import is_prose, plain

BOORU, E621, PROSE = "booru", "e621", "prose"
_MARKED = 0.3
"""The least share of tag lists with a tag of e621 alone."""
_ONLY_E621 = frozenset((
    "anthro", "feral", "mammal", "canid", "canine", "canis", "felid", "feline", "felis", "equid", "equine",
    "lagomorph", "leporid", "rodent", "scalie", "avian", "hi res", "absurd res", "biped", "quadruped", "pawpads",
    "ambiguous gender", "male/male", "male/female", "female/female", "solo/duo focus", "digital media (artwork)",
    "digital drawing (artwork)", "digital painting (artwork)", "fur", "white fur", "black fur", "brown fur",
    "grey fur", "orange fur", "countershading", "markings", "domestic cat", "domestic dog", "mythological creature",
    "anthro on anthro", "conditional dnp"))
"""Tags of e621 that Danbooru does not have, or has under another name."""


@dataclass(frozen=True)
class CaptionStyle:
    """``style`` is empty if no image has a caption. ``words`` says how many captions have it."""

    style: str
    words: str


def caption_style(pictures: Sequence[Picture], separator: str) -> CaptionStyle:
    """The style of most captions of ``pictures``; captions taken from folder names do not count."""
    captions = [picture.caption for picture in pictures if picture.caption_source == "file" and picture.caption.strip()]
    if not captions:
        return CaptionStyle("", "No image has a caption")
    lists = [caption for caption in captions if not is_prose(caption, separator)]
    if 2 * len(lists) < len(captions):
        return CaptionStyle(PROSE, _count(len(captions) - len(lists), len(captions), "sentences", "a sentence"))
    found: dict[str, int] = {}
    marked = 0
    for caption in lists:
        own = {tag for tag in map(plain, split_tags(caption, separator)) if tag in _ONLY_E621}
        marked += bool(own)
        for tag in own:
            found[tag] = found.get(tag, 0) + 1
    if marked >= _MARKED * len(lists):
        usual = ", ".join(sorted(found, key=lambda tag: (-found[tag], tag))[:3])
        return CaptionStyle(E621, f"{_count(marked, len(captions), 'tags of e621', 'tags of e621')} ({usual})")
    return CaptionStyle(BOORU, _count(len(lists), len(captions), "booru tags", "booru tags"))


def _count(some: int, of: int, several: str, one: str) -> str:
    if some == of:
        return f"Your caption is {one}" if of == 1 else f"All {of} captions are {several}"
    return f"{some} of {of} captions are {several}"
