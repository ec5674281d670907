"""Growing a set from a handful of images: how many to aim for next, and prompts for candidates that vary it.

A quick LoRA of the few images draws candidates; the good ones are added, and the next LoRA draws better ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import count, cycle, islice

from ..pictures.caption_files import join_tags
from .doctor import vocabulary
from .editor.index import Entry
from .tags import plain

TARGETS = (1, 2, 4, 6, 10, 15, 25)
"""Numbers of images at which another quick LoRA is worth its time."""

_COMMON = 0.6
_MOST_TAGS = 14
_VARIED = frozenset().union(*(tags for kinds in (
    vocabulary.FRAMING, vocabulary.VIEW, vocabulary.POSE, vocabulary.EXPRESSION, vocabulary.BACKGROUND)
    for tags in kinds.values()))
_FRAMINGS = ("full body", "upper body", "portrait", "cowboy shot")
_POSES = ("standing", "sitting", "walking", "arms up", "hand on own hip", "lying", "from side", "from behind",
          "leaning forward")
_EXPRESSIONS = ("smile", "serious", "open mouth", "closed eyes", "surprised")
_BACKGROUNDS = ("simple background", "outdoors", "indoors", "forest", "city", "beach", "night sky")
_STEPS = 300
_EPOCHS = 10


def next_target(images: int) -> int:
    """The number of images to aim for with ``images`` at hand; half as many again beyond the list."""
    return next((target for target in TARGETS if target > images), images + max(1, images // 2))


def quick_repeats(images: int) -> int:
    """The repeats with which ten epochs of ``images`` are about 300 steps: some minutes, enough for a likeness."""
    return max(1, round(_STEPS / (_EPOCHS * max(1, images))))


def prompts_for(entries: Sequence[Entry], activation_tag: str, wanted: int) -> list[str]:
    """``wanted`` prompts for candidates: what the captions share, each with other framing, pose and background.

    Tags of framing, pose, expression and background are left out of what they share. Sets of things get other
    backgrounds only, and so does prose, caption by caption.
    """
    tagged = [entry for entry in entries if entry.caption.tags and not entry.caption.prose]
    beings = 2 * sum(bool(entry.caption.keys & vocabulary.PEOPLE) for entry in tagged) >= max(1, len(tagged))
    common = _common_tags(tagged, activation_tag)
    prose = [entry.caption.line for entry in entries if entry.caption.prose]
    if len(prose) > len(tagged) or not common:
        lines = prose or ["an image"]
        return [join_tags([line, background], ",") for line, background
                in islice(zip(cycle(lines), cycle(_BACKGROUNDS), strict=False), wanted)]
    return [join_tags([*common, *_variation(number, beings)], ",") for number in islice(count(), wanted)]


def _common_tags(entries: Sequence[Entry], activation_tag: str) -> list[str]:
    """The trigger word and the tags that most captions have, in the order of captions."""
    found: Counter[str] = Counter(key for entry in entries for key in entry.caption.keys)
    shared = [tag for tag in dict.fromkeys(tag for entry in entries for tag in entry.caption.tags)
              if found[plain(tag)] >= _COMMON * len(entries) and plain(tag) not in _VARIED
              and plain(tag) != plain(activation_tag)]
    first = [activation_tag] if activation_tag.strip() else []
    return [*first, *dict.fromkeys(shared)][:_MOST_TAGS]


def _variation(number: int, beings: bool) -> list[str]:
    """Lists of different lengths, so that few combinations repeat."""
    background = _BACKGROUNDS[number % len(_BACKGROUNDS)]
    if not beings:
        return [background]
    return [_FRAMINGS[number % len(_FRAMINGS)], _POSES[number % len(_POSES)], _EXPRESSIONS[number % len(_EXPRESSIONS)],
            background]
