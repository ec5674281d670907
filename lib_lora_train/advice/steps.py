"""How long to train.

After the guide's "Number of steps/epochs" and "Starting settings". The guide counts a step for every image seen; an
optimizer step sees ``batch size x gradient accumulation`` images at once, so both are distinguished here: *images seen*
and *steps*.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

USUAL_IMAGES_SEEN = 1000
"""Images seen that it usually takes for training to stick."""

FEWEST_IMAGES_SEEN = 800
"""The bare minimum, for subjects that the model half knows already."""

IMAGES_SEEN_FROM_SCRATCH = 1500
"""For a creature or object that the model has never seen."""

IMAGES_SEEN_IF_KNOWN = 300
"""For a subject that a prompt alone nearly draws (the guide's "Prior training")."""

KNOWN, HALF, UNKNOWN, UNSURE = "known", "half", "unknown", "unsure"
"""How well a base model knows a word."""
_MANY_UNKNOWN = 0.5

_MOST_FILES = 12
_EPOCHS_BETWEEN_FILES = 4


@dataclass(frozen=True)
class Length:
    """The length of a run. ``images_seen`` counts training images only; ``steps`` are all optimizer steps."""

    epochs: int
    images_seen: int
    steps: int


def propose_length(images_per_epoch: int, steps_per_epoch: int, images_wanted: int = USUAL_IMAGES_SEEN) -> Length:
    """The fewest epochs that give at least ``images_wanted``.

    ``images_per_epoch`` is the sum of images x repeats. ``steps_per_epoch`` comes from the training plan and so already
    includes batch size, gradient accumulation and regularization images, which double it. Raises ``ValueError`` if
    there are no images.
    """
    if images_per_epoch < 1 or steps_per_epoch < 1:
        raise ValueError(f"{images_per_epoch} images and {steps_per_epoch} steps an epoch cannot be trained on")
    epochs = math.ceil(images_wanted / images_per_epoch)
    return Length(epochs, epochs * images_per_epoch, epochs * steps_per_epoch)


def images_seen_for(level: str, tags: Sequence[str]) -> int:
    """How many images a subject needs that the base knows at ``level``; ``tags`` are the levels of its tags."""
    if level == KNOWN:
        return IMAGES_SEEN_IF_KNOWN
    if level == HALF:
        return FEWEST_IMAGES_SEEN
    unknown = sum(one == UNKNOWN for one in tags)
    return IMAGES_SEEN_FROM_SCRATCH if tags and unknown > _MANY_UNKNOWN * len(tags) else USUAL_IMAGES_SEEN


def steps_hint(images_per_epoch: int, steps_per_epoch: int) -> str:
    """One sentence on how many epochs a dataset of this size needs."""
    usual = propose_length(images_per_epoch, steps_per_epoch)
    scratch = propose_length(images_per_epoch, steps_per_epoch, IMAGES_SEEN_FROM_SCRATCH)
    text = (f"The usual length, about {_round(usual.images_seen)} images seen, is {_epochs(usual.epochs)} of "
            f"{_steps(steps_per_epoch)}")
    if scratch.epochs == usual.epochs:
        return text + "."
    return text + f"; {_epochs(scratch.epochs)} if the model has never seen anything like it."


def length_problem(images_per_epoch: int, images_seen: int, wanted: int = USUAL_IMAGES_SEEN) -> str | None:
    """Why a run with ``images_seen`` images seen is likely too short, or None; a plan may have ``wanted`` fewer."""
    if images_seen >= min(FEWEST_IMAGES_SEEN, wanted):
        return None
    epochs = math.ceil(USUAL_IMAGES_SEEN / images_per_epoch)
    return (f"The run sees {images_seen} images in total, repeats included. Fewer than {FEWEST_IMAGES_SEEN} are rarely "
            f"enough: {_epochs(epochs)} would show {epochs * images_per_epoch}.")


def propose_save_every(epochs: int) -> int:
    """Epochs between saved files: every epoch of a short run, every fourth of a longer one, at most a dozen files."""
    if epochs <= _MOST_FILES:
        return 1
    return max(_EPOCHS_BETWEEN_FILES, math.ceil(epochs / _MOST_FILES))


def _epochs(number: int) -> str:
    return "1 epoch" if number == 1 else f"{number} epochs"


def _steps(number: int) -> str:
    return "1 step" if number == 1 else f"{number} steps"


def _round(images_seen: int) -> int:
    """Round to about two digits; more would be false precision."""
    return round(images_seen, -2) if images_seen >= 1000 else round(images_seen, -1)
