"""Selection of an image's tags from a tagger's confidences."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..captions.patterns import star_matcher
from ..captions.tags import plain
from ..config.groups.tagging import (
    ARTIST,
    CHARACTER,
    COPYRIGHT,
    GENERAL,
    META,
    MODEL,
    QUALITY,
    RATING,
    SPECIES,
    YEAR,
    TagRuleSettings,
)
from .implied import implied_tags
from .tag_list import TagList

_NAMED, _GENERAL, _OTHER = (CHARACTER, COPYRIGHT, ARTIST), (GENERAL, SPECIES), (META, MODEL, YEAR)
_ORDER = (*_NAMED, *_GENERAL, *_OTHER)
ONE_OF = (QUALITY, RATING)
"""The categories of which only the likeliest tag is written."""
_NONE: NDArray[np.int64] = np.array([], np.int64)
DEFAULT_THRESHOLDS = {**dict.fromkeys(_GENERAL, 0.35), **dict.fromkeys(_NAMED, 0.85), **dict.fromkeys(_OTHER, 0.5)}
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
        self._wanted = [category for category in _ORDER if category in rules.categories]
        self._places = {category: tag_list.places(category) for category in (*self._wanted, *ONE_OF)}
        self._thresholds = thresholds_of(tag_list, rules)

    def choose(self, confidences: NDArray[np.float32]) -> Chosen:
        """The tags for ``confidences``, float32 (tags,): names first, then general and other tags, each by confidence.

        Of ratings and qualities, the likeliest one comes last.
        """
        rules = self._rules
        groups = [self._above(confidences, places) for places in self._grouped()]
        kept = set(_surest([place for group in groups for place in group], confidences)[:rules.max_tags])
        places = [place for group in groups for place in group if place in kept]
        if rules.drop_implied:
            places = self._without_implied(places)
        for category in ONE_OF:
            if category in rules.categories and len(self._places[category]):
                likeliest = int(self._places[category][np.argmax(confidences[self._places[category]])])
                places += [] if likeliest in self._left_out else [likeliest]
        return Chosen(tuple(self._written(place) for place in places), self._likely(confidences))

    def _grouped(self) -> list[NDArray[np.int64]]:
        """The indices of wanted tags: names, general tags, others."""
        return [np.concatenate([self._places[one] for one in group if one in self._wanted] or [_NONE])
                for group in (_NAMED, _GENERAL, _OTHER)]

    def _above(self, confidences: NDArray[np.float32], places: NDArray[np.int64]) -> list[int]:
        if not len(places):
            return []
        own, thresholds = confidences[places], self._thresholds[places]
        by_gap, least = {_NAMED[0]: (self._rules.character_mcut, MCUT_LEAST_FOR_NAMES),
                         _GENERAL[0]: (self._rules.general_mcut, 0.0)}.get(self._kind(places[0]), (False, 0.0))
        if by_gap:
            thresholds = np.full(len(places), max(least, mcut_threshold(own)), np.float64)
        above = [int(place) for place in places[own > thresholds.astype(np.float32)]
                 if int(place) not in self._left_out]
        return _surest(above, confidences)

    def _kind(self, place: int) -> str:
        """The first category of the group that a tag belongs to."""
        category = self._list.categories[place]
        return next(group[0] for group in (_NAMED, _GENERAL, _OTHER) if category in group)

    def _without_implied(self, places: list[int]) -> list[int]:
        general = [place for place in places if self._list.categories[place] in _GENERAL]
        implied = implied_tags([plain(self._list.tags[place]) for place in general])
        return [place for place in places if place not in general or plain(self._list.tags[place]) not in implied]

    def _written(self, place: int) -> str:
        tag = self._spelled[place]
        return tag.replace("(", "\\(").replace(")", "\\)") if self._rules.escape_brackets else tag

    def _likely(self, confidences: NDArray[np.float32]) -> dict[str, float]:
        places = np.concatenate([self._places[one] for one in self._wanted if one not in _OTHER] or [_NONE])
        likely = [int(place) for place in places[confidences[places] >= CONFIDENCE_FLOOR]]
        return {self._spelled[place]: round(float(confidences[place]), 3) for place in _surest(likely, confidences)}


def thresholds_of(tag_list: TagList, rules: TagRuleSettings) -> NDArray[np.float64]:
    """The threshold of each tag, float64 (tags,): the user's for its category, else its own, else its category's."""
    asked = {GENERAL: rules.general_threshold, SPECIES: rules.general_threshold, CHARACTER: rules.character_threshold,
             COPYRIGHT: _first(rules.copyright_threshold, rules.character_threshold),
             ARTIST: _first(rules.artist_threshold, rules.character_threshold), META: rules.meta_threshold,
             MODEL: rules.meta_threshold, YEAR: rules.meta_threshold}
    usual = {category: _first(asked.get(category), tag_list.thresholds.get(category), DEFAULT_THRESHOLDS.get(category))
             for category in set(tag_list.categories)}
    return np.array([_first(asked.get(category), tag_list.own_thresholds.get(place), usual[category], 1.0)
                     for place, category in enumerate(tag_list.categories)], np.float64)


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


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
