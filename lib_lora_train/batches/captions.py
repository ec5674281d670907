"""The caption that an image is trained with: randomized each time, and reproducible from the position in the run.

The order is that of sd-scripts: prefix and suffix, caption dropout, wildcards; then the tags are split into kept and
free ones, and the free ones are truncated during token warmup, shuffled, and dropped (tag dropout).
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from typing import NamedTuple

from ..config.groups.dataset import DatasetSettings
from ..pictures.caption_files import join_tags, split_tags
from ..pictures.scan import Picture

_WILDCARD = re.compile(r"\{([^{}|]*\|[^{}]*)\}")


class BatchPosition(NamedTuple):
    """The position of a batch in a run. ``batch`` is its number in the epoch; epochs count from 1.

    ``step`` is the number of optimizer steps done before it, of ``total_steps``.
    """

    seed: int
    epoch: int
    batch: int
    step: int = 0
    total_steps: int = 1


def caption_rng(position: BatchPosition) -> random.Random:
    """The random stream for the captions of one batch, from its position alone, so that a resumed run has the same."""
    return random.Random(f"captions:{position.seed}:{position.epoch}:{position.batch}")


def augmentation_rng(position: BatchPosition) -> random.Random:
    """The random stream for image augmentation, independent of that for captions."""
    # the prefix stays "looks": a run that an earlier version started must resume with the same augmentation
    return random.Random(f"looks:{position.seed}:{position.epoch}:{position.batch}")


def plain_caption(picture: Picture, settings: DatasetSettings) -> str:
    """The caption without shuffling, dropout or warmup; wildcards take their first word."""
    caption = _framed(picture, picture.caption, settings)
    if settings.enable_wildcard:
        caption = _without_wildcards(caption, None)
    return _joined(*_parts(caption, picture, settings), settings) if _has_mark(caption, settings) else caption


def train_caption(picture: Picture, settings: DatasetSettings, rng: random.Random, position: BatchPosition) -> str:
    """A randomized caption of ``picture`` from ``rng``."""
    if _is_dropped(settings, rng, position):
        return ""
    line = picture.caption
    if settings.enable_wildcard and len(picture.caption_lines) > 1:
        line = rng.choice(picture.caption_lines)
    caption = _framed(picture, line, settings)
    if settings.enable_wildcard:
        caption = _without_wildcards(caption, rng)
    if not (_has_mark(caption, settings) or settings.shuffle_caption or settings.token_warmup_step
            or settings.caption_tag_dropout_rate):
        return caption
    front, free, end = _parts(caption, picture, settings)
    free = free[:_allowed_tags(len(free), settings, position)]
    if settings.shuffle_caption:
        rng.shuffle(free)
    if settings.caption_tag_dropout_rate:
        free = [tag for tag in free if rng.random() >= settings.caption_tag_dropout_rate]
    return _joined(front, free, end, settings)


def _is_dropped(settings: DatasetSettings, rng: random.Random, position: BatchPosition) -> bool:
    every = settings.caption_dropout_every_n_epochs
    if every and position.epoch % every == 0:
        return True
    return bool(settings.caption_dropout_rate) and rng.random() < settings.caption_dropout_rate


def _framed(picture: Picture, line: str, settings: DatasetSettings) -> str:
    """``line`` with prefix and suffix, except for regularization images, since these often hold the trigger word."""
    if picture.regularization:
        return line
    return " ".join(part for part in (settings.caption_prefix.strip(), line, settings.caption_suffix.strip()) if part)


def _without_wildcards(caption: str, rng: random.Random | None) -> str:
    """``caption`` with one word of each ``{a|b}``, inner ones first; the first word if ``rng`` is None."""
    begin = 0
    while match := _WILDCARD.search(caption, begin):
        words = match[1].split("|")
        chosen = words[0] if rng is None else rng.choice(words)
        caption = caption[:match.start()] + chosen.strip() + caption[match.end():]
        outer = caption.rfind("{", 0, match.start())
        begin = match.start() if outer < 0 else outer  # no wildcard is left before it
    return caption


def _has_mark(caption: str, settings: DatasetSettings) -> bool:
    return bool(settings.keep_tokens_separator) and settings.keep_tokens_separator in caption


def _parts(caption: str, picture: Picture,
           settings: DatasetSettings) -> tuple[list[str], list[str], list[str]]:
    """The tags kept in front, the free tags, and the tags kept at the end."""
    if _has_mark(caption, settings):
        front, free, end = [*caption.split(settings.keep_tokens_separator, 2), ""][:3]
        return (split_tags(front, settings.caption_separator), split_tags(free, settings.caption_separator),
                split_tags(end, settings.caption_separator))
    tags = split_tags(caption, settings.caption_separator)
    kept = picture.keep_tokens(settings)
    return tags[:kept], tags[kept:], []


def _allowed_tags(count: int, settings: DatasetSettings, position: BatchPosition) -> int:
    """How many of ``count`` free tags the token warmup allows: a linear ramp from ``token_warmup_min`` to all."""
    length = settings.token_warmup_step
    if length < 1:
        length = math.floor(length * position.total_steps)
    if position.step >= length:
        return count
    fewest = min(settings.token_warmup_min, count)
    return fewest + math.floor(position.step * (count - fewest) / length)


def _joined(front: Sequence[str], free: Sequence[str], end: Sequence[str], settings: DatasetSettings) -> str:
    return join_tags([*front, *free, *end], settings.caption_separator)
