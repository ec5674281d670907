"""What the captions of a set say of its subject: the tags that most images share, and the words around them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..config.groups.dataset import DatasetSettings
from ..pictures.caption_files import join_tags, split_tags
from ..pictures.scan import Picture
from .doctor import vocabulary
from .tags import is_prose, plain

_SHARED = 0.25
"""The least share of captions that a trait is in; rarer tags describe single images."""
_CONTEXT = 0.5
_NOT_OF_THE_SUBJECT = frozenset().union(*(tags for kinds in (
    vocabulary.FRAMING, vocabulary.VIEW, vocabulary.POSE, vocabulary.EXPRESSION, vocabulary.BACKGROUND)
    for tags in kinds.values()), vocabulary.PEOPLE)


def traits_of(pictures: Sequence[Picture], settings: DatasetSettings, most: int) -> list[str]:
    """The ``most`` frequent tags that describe the subject, those in most captions first; empty without tags.

    Leaves out the trigger word, the number of people, framing, pose, expression and background.
    """
    trigger = {plain(tag) for tag in split_tags(settings.activation_tag, settings.caption_separator)}
    fewest = max(_SHARED * len(pictures), min(2, len(pictures)))
    return [tag for tag, count in _counted(pictures, settings)
            if count >= fewest and plain(tag) not in trigger | _NOT_OF_THE_SUBJECT][:most]


def context_of(pictures: Sequence[Picture], settings: DatasetSettings) -> str:
    """The number of people that at least half of the captions name, such as ``1girl, solo``; empty if none does."""
    return join_tags([tag for tag, count in _counted(pictures, settings)
                      if count >= _CONTEXT * len(pictures) and plain(tag) in vocabulary.PEOPLE], ",")


def has_tag(picture: Picture, tag: str, settings: DatasetSettings) -> bool:
    """Whether the caption of ``picture`` has ``tag``, whatever its case and underscores."""
    return plain(tag) in map(plain, split_tags(picture.caption, settings.caption_separator))


def fingerprint(folder: Path, pictures: Sequence[Picture]) -> str:
    """A hash of the names and captions of ``pictures``, which are in ``folder``."""
    parts = sorted((picture.path.relative_to(folder).as_posix(), picture.caption) for picture in pictures)
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _counted(pictures: Sequence[Picture], settings: DatasetSettings) -> list[tuple[str, int]]:
    """Each tag in its first spelling, and the number of captions with it, most frequent first."""
    spelling: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for picture in pictures:
        if picture.caption_source == "file" and not is_prose(picture.caption, settings.caption_separator):
            tags = {plain(tag): tag for tag in split_tags(picture.caption, settings.caption_separator)}
            counts.update(tags.keys())
            spelling = {**tags, **spelling}
    return [(spelling[key], count) for key, count in counts.most_common()]
