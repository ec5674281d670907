"""Names for what is marked in a generated image, from the tagger's confidences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..doctor.vocabulary import PEOPLE
from ..tags import plain

NAMED_FROM = 0.25
"""The least confidence of a tag that is proposed. A small crop is judged less surely than a whole image."""

MOST_NAMED = 24


@dataclass(frozen=True)
class NamedTag:
    """A tag that the tagger finds: its confidence in the marked part and in the whole image, ``None`` if below 0.1.

    ``prompted``: the prompt asks for it.
    """

    tag: str
    marked: float | None
    whole: float | None
    prompted: bool


def named_tags(marked: Mapping[str, float], whole: Mapping[str, float], prompted: frozenset[str]) -> list[NamedTag]:
    """The tags of a marked part, or of the whole image if ``marked`` is empty, the likeliest culprit first.

    ``marked`` and ``whole`` are confidences by the tagger's spelling. A tag counts more if the part shows it more
    surely than the whole image does; tags that the prompt asks for (``prompted``, ``plain``) and words for the person
    come last, since they are no fault.
    """
    judged = marked or whole
    found = [NamedTag(tag, marked.get(tag), whole.get(tag), plain(tag) in prompted)
             for tag, value in judged.items() if value >= NAMED_FROM]
    found.sort(key=lambda one: (one.prompted or plain(one.tag) in PEOPLE, -_suspicion(one), one.tag))
    return found[:MOST_NAMED]


def _suspicion(named: NamedTag) -> float:
    whole = named.whole or 0.0
    return whole if named.marked is None else named.marked + max(0.0, named.marked - whole)
