"""The trigger word in captions: leaving it out, or putting other words in its place."""

from __future__ import annotations

import re

from .dataset import DatasetSettings


def without_trigger(caption: str, settings: DatasetSettings, instead: str = "") -> str:
    """``caption`` without the trigger word, or with ``instead`` in its place, in tags as in sentences.

    Case does not matter, nor whether its words are joined by spaces or underscores; of a trigger of several tags, each
    is taken out. A caption without it is returned unchanged.
    """
    separator = settings.caption_separator
    triggers = [r"[\s_]+".join(re.escape(word) for word in re.split(r"[\s_]+", tag))
                for tag in (part.strip() for part in settings.activation_tag.split(separator)) if tag]
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(triggers)})(?!\w)", re.IGNORECASE)
    if not triggers or not pattern.search(caption):
        return caption
    words = " ".join(instead.split())
    tags = (" ".join(pattern.sub(lambda _: words, tag).split()) for tag in caption.split(separator))
    return f"{separator.strip()} ".join(tag for tag in tags if tag)
