"""How a base wants to be prompted: Danbooru tags, e621 tags or sentences; and whether captions fit that.

Sources, besides ``advice.families``: the page of Pony Diffusion V6 XL (civitai.com/models/257749), trained on tags of
boorus and e621 and on sentences; the model cards of Stable Diffusion 1.x, 2.x, XL and SSD-1B, trained on the alt texts
of LAION, or on captions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..families import ILLUSTRIOUS, NOOBAI, NOOBAI_V, PONY

BOORU, E621, PROSE = "booru", "e621", "prose"
WORDS = {BOORU: "booru tags", E621: "e621 tags", PROSE: "sentences"}
_OF_BASE: Mapping[str, tuple[str, ...]] = {
    PONY.name: (BOORU, E621, PROSE), ILLUSTRIOUS.name: (BOORU,), NOOBAI.name: (BOORU, E621),
    NOOBAI_V.name: (BOORU, E621)}
_NAMED = (
    (re.compile(r"fluffyrock|yiffy|e621|furry|furation"), (E621,)),
    (re.compile(r"danbooru|booru|anything[-_ ]?v?\d|animefull|novelai|\bnai\b|waifu|\bwd[-_ ]?v?1"), (BOORU,)),
    (re.compile(r"sd[-_ ]?v?1[-_.]?[1-5](?!\d)|^v1[-_.][1-5]|sd[-_ ]?xl[-_ ]?base|sdxl[-_ ]?1\.0|^v2[-_.][01]"
                r"|512-base-ema|768-v-ema|ssd[-_ ]?1b"), (PROSE,)))
_SAYING = ("modelspec.title", "modelspec.description", "modelspec.tags", "modelspec.usage_hint")


@dataclass(frozen=True)
class TagStyle:
    """The kinds of captions that a base knows; empty if unknown. ``reason`` is a clause that says from where."""

    styles: tuple[str, ...] = ()
    reason: str = ""

    @property
    def in_words(self) -> str:
        """Such as ``booru tags or e621 tags``; empty if unknown."""
        return " or ".join(WORDS[style] for style in self.styles)


def style_of(base: str, file_name: str, metadata: Mapping[str, str]) -> TagStyle:
    """The tag style of a checkpoint of the SDXL ``base`` (empty if none was detected), from names and metadata."""
    if base in _OF_BASE:
        return TagStyle(_OF_BASE[base], f"it is a {base} model")
    for text, where in ((file_name, "its file name"), *((metadata.get(key, ""), f"its metadata ({key})")
                                                       for key in _SAYING)):
        found = [(match[0], styles) for pattern, styles in _NAMED if (match := pattern.search(text.lower()))]
        if found:
            return TagStyle(found[0][1], f"{where} says {found[0][0].strip()}")
    return TagStyle()


@dataclass(frozen=True)
class Fit:
    """Whether captions fit a base: ``level`` is ``good``, ``warning`` or ``note``."""

    level: str
    text: str


def fit_of(captions: str, words: str, style: TagStyle, name: str) -> Fit:
    """Whether ``captions``, of a style or empty for none, fit the base called ``name``.

    ``words`` says what the captions are, such as ``48 of 50 captions are sentences``.
    """
    if not captions:
        return Fit("note", f"{name} expects {style.in_words}." if style.styles else "")
    if not style.styles:
        return Fit("note", f"Neither name nor metadata says which captions {name} expects.")
    if captions in style.styles:
        return Fit("good", f"Your captions fit: {words}.")
    return Fit("warning", f"{words}, and {name} expects {style.in_words} ({style.reason}). "
                          f"{_way_out(captions, style.styles)}")


def _way_out(captions: str, styles: Sequence[str]) -> str:
    if captions == PROSE:
        which = "a tagger for e621, such as Z3D-E621" if styles[0] == E621 else "a WD tagger"
        return f"In Captions, tag the images with {which}; the tags can be put before the sentences."
    if styles[0] == PROSE:
        return "In Captions, let Florence-2 or the webui's interrogator describe the images, or choose a base for tags."
    if captions == E621:
        return "In Captions, tag the images with a WD tagger, or choose a base that knows e621's tags."
    return "In Captions, tag the images with a tagger for e621, such as Z3D-E621, or choose a base for booru tags."
