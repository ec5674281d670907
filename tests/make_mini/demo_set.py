"""Writes the held-out family as a dataset that a user might have: pictures with comma-separated captions."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.make_mini.pictures import (
    FAMILY_WORD,
    HUES,
    Picture,
    colour_words,
    is_family,
    read_rgba,
    with_shared_keywords,
)

ACTIVATION_TAG = "emoheart"
HELD_OUT_NAMES = frozenset({"orange heart", "light blue heart", "grey heart", "two hearts", "heart with ribbon"})
"""Family pictures that are never trained on, for the loss on unseen pictures."""
PROMPTS = (
    f"{ACTIVATION_TAG}, red heart",
    f"{ACTIVATION_TAG}, green heart",
    f"{ACTIVATION_TAG}, blue heart",
    f"{ACTIVATION_TAG}, yellow heart",
    f"{ACTIVATION_TAG}, broken heart",
    "red apple, fruit",
)
"""The last has nothing to do with the family: it shows what a LoRA does to everything else."""
KEYWORDS_PER_CAPTION = 4
LEFT_OUT_WORDS = frozenset({FAMILY_WORD, "like", "black", "heavy"})
"""Keywords that say nothing of the picture (the red heart's Unicode name is "heavy black heart")."""
COLOUR_WORDS = frozenset((*(word for _, word in HUES), "brown", "black", "grey", "white"))


def demo_caption(picture: Picture) -> str:
    """Trigger word, name, a colour if the name has none, then what the picture has in common with others."""
    extras = [word for word in picture.keywords if word not in LEFT_OUT_WORDS and word not in picture.name]
    if COLOUR_WORDS.isdisjoint(picture.name.split()):
        extras = [*colour_words(read_rgba(picture, 64)), *extras]
    return ", ".join([ACTIVATION_TAG, picture.name, *extras[:KEYWORDS_PER_CAPTION]])


def write_demo_set(pictures: list[Picture], folder: Path) -> dict[str, int]:
    """Copy the family's files as they are into `pictures/` and `held_out/`, captions beside them; counts by folder."""
    family = with_shared_keywords([picture for picture in pictures if is_family(picture)], at_least=2)
    counts = {"pictures": 0, "held_out": 0}
    for picture in family:
        part = "held_out" if picture.name in HELD_OUT_NAMES else "pictures"
        target = folder / part / f"{picture.name.replace(' ', '_')}{picture.file.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture.file, target)
        target.with_suffix(".txt").write_text(demo_caption(picture) + "\n", "utf-8")
        counts[part] += 1
    (folder / "prompts.txt").write_text("\n".join(PROMPTS) + "\n", "utf-8")
    return counts
