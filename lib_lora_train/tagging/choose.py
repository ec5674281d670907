"""Selection of an image's tags from a tagger's confidences."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..captions.patterns import star_matcher
from ..captions.tags import plain
from ..config.groups.tagging import TagRuleSettings
from .tag_list import TagList

MCUT_LEAST_FOR_NAMES = 0.15
CONFIDENCE_FLOOR = 0.1
"""Lower confidences are not saved, since a tagger has ten thousand tags for every image."""

_FACES = frozenset(("0_0", "(o)_(o)", "+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", "3_3", "6_9", ">_o",
                    "@_@", "^_^", "o_o", "u_u", "x_x", "|_|", "||_||"))


@dataclass(frozen=True)
class Chosen:
    """The ``tags`` for an image's caption, and the confidences of all tags above ``CONFIDENCE_FLOOR``.

    The keys of ``confidences`` are tags without escaped brackets.
    """

    tags: tuple[str, ...]
    confidences: dict[str, float]


class TagChooser:
    """Applies the tag rules to a tagger's outputs."""

    def __init__(self, tag_list: TagList, rules: TagRuleSettings) -> None:
        self._list = tag_list
        self._rules = rules
        self._spelled = [spelled(tag, rules.replace_underscore) for tag in tag_list.tags]
        unwanted = unwanted_tags(rules.exclude_tags)
        self._left_out = {place for place, tag in enumerate(tag_list.tags) if unwanted(plain(tag))}

    def choose(self, confidences: NDArray[np.float32]) -> Chosen:
        """The tags for ``confidences``, float32 (tags,): names first, then general tags, each by confidence."""
        rules = self._rules
        named = self._above(confidences, self._list.named, rules.character_threshold, rules.character_mcut,
                            MCUT_LEAST_FOR_NAMES)
        general = self._above(confidences, self._list.general, rules.general_threshold, rules.general_mcut, 0.0)
        kept = set(_surest([*named, *general], confidences)[:rules.max_tags])
        places = [place for place in (*named, *general) if place in kept]
        if rules.rating_tag and len(self._list.ratings):
            rating = int(self._list.ratings[np.argmax(confidences[self._list.ratings])])
            places += [] if rating in self._left_out else [rating]
        return Chosen(tuple(self._written(place) for place in places), self._likely(confidences))

    def _above(self, confidences: NDArray[np.float32], places: NDArray[np.int64], threshold: float, by_gap: bool,
               least: float) -> list[int]:
        if not len(places):
            return []
        own = confidences[places]
        if by_gap:
            threshold = max(least, mcut_threshold(own))
        above = [int(place) for place in places[own > threshold] if int(place) not in self._left_out]
        return _surest(above, confidences)

    def _written(self, place: int) -> str:
        tag = self._spelled[place]
        return tag.replace("(", "\\(").replace(")", "\\)") if self._rules.escape_brackets else tag

    def _likely(self, confidences: NDArray[np.float32]) -> dict[str, float]:
        places = np.concatenate((self._list.named, self._list.general))
        likely = [int(place) for place in places[confidences[places] >= CONFIDENCE_FLOOR]]
        return {self._spelled[place]: round(float(confidences[place]), 3) for place in _surest(likely, confidences)}


def mcut_threshold(confidences: NDArray[np.float32]) -> float:
    """MCut: the middle of the widest gap between neighbours of the sorted ``confidences`` (Largeron et al. 2012).

    ``confidences`` is float32 (n,); with fewer than two, the threshold is 0.
    """
    if len(confidences) < 2:
        return 0.0
    ordered = np.sort(confidences)[::-1].astype(np.float64)
    widest = int(np.argmax(ordered[:-1] - ordered[1:]))
    return float(ordered[widest] + ordered[widest + 1]) / 2


def spelled(tag: str, replace_underscore: bool) -> str:
    """``red_boots`` as ``red boots``; emoticons such as ``^_^`` keep their underscore."""
    return tag.replace("_", " ") if replace_underscore and tag not in _FACES else tag


def unwanted_tags(patterns: Iterable[str]) -> Callable[[str], bool]:
    """A predicate for ``plain`` tags that match any of ``patterns``, in which ``*`` is a wildcard."""
    matchers = [star_matcher(plain(pattern)) for pattern in patterns]
    return lambda tag: any(fits(tag) for fits in matchers)


def _surest(places: list[int], confidences: NDArray[np.float32]) -> list[int]:
    """``places`` by descending confidence; ties keep the tagger's order."""
    return sorted(places, key=lambda place: -confidences[place])
