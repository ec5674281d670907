"""What a tagger sees in generated images: the traits of the set, and the other tags of their prompts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..pictures.caption_files import split_tags

Confidences = NDArray[np.float32]
_TRAIT = 0.5
"""A tag with at least this mean confidence in the training images is a trait of the set."""
_FOUND = 0.35
"""The usual threshold of taggers."""


def traits_of(trained: Confidences) -> list[int]:
    """The tags that most training images have; ``trained`` are confidences, float32 (images, tags)."""
    return [int(place) for place in np.flatnonzero(trained.mean(axis=0) >= _TRAIT)]


def likeness_of(sample: Confidences, trained: Confidences, traits: Sequence[int]) -> float | None:
    """How much of the ``traits`` an image has, 0 to 1: its confidence of each, relative to the training images'.

    ``sample`` is float32 (tags,). ``None`` if the set has no traits.
    """
    if not traits:
        return None
    usual = trained.mean(axis=0)
    return float(np.mean([min(1.0, sample[place] / usual[place]) for place in traits]))


def asked_tags(prompt: str, tags: Sequence[str], traits: Sequence[int], trigger: str) -> list[int]:
    """The tags that ``prompt`` asks for beside the ``trigger`` word and the set's ``traits``."""
    places = {_plain(tag): place for place, tag in enumerate(tags)}
    triggers = {_plain(tag) for tag in split_tags(trigger, ",")}
    asked = [_plain(tag) for tag in split_tags(prompt, ",")]
    found = [places[tag] for tag in asked if tag in places and tag not in triggers]
    return [place for place in dict.fromkeys(found) if place not in traits]


def flexibility_of(sample: Confidences, asked: Sequence[int]) -> float | None:
    """The share of the ``asked`` tags that the tagger finds in an image; ``None`` if there are none."""
    return float(np.mean([sample[place] >= _FOUND for place in asked])) if asked else None


def _plain(tag: str) -> str:
    """``(red_hat:1.2)`` as ``red hat``."""
    words = tag.strip().strip("()[]").split(":")[0]
    return " ".join(words.replace("_", " ").replace("\\", "").lower().split())
