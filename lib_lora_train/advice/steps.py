"""How long to train.

After the guide's "Number of steps/epochs" and "Starting settings". The guide counts a step for every image seen; an
optimizer step sees ``batch size x gradient accumulation`` images at once, so both are distinguished here: *looks*
(images seen) and *steps*.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

WANTED_LOOKS = 1000
"""Images seen that it usually takes for training to stick."""

LEAST_LOOKS = 800
"""The bare minimum, for subjects that the model half knows already."""

LOOKS_FROM_SCRATCH = 1500
"""For a creature or object that the model has never seen."""

_MOST_FILES = 12
_EPOCHS_BETWEEN_FILES = 4


@dataclass(frozen=True)
class Length:
    """The length of a run. ``looks`` counts training images only; ``steps`` are all optimizer steps."""

    epochs: int
    looks: int
    steps: int


def propose_length(looks_per_epoch: int, steps_per_epoch: int, wanted_looks: int = WANTED_LOOKS) -> Length:
    """The fewest epochs that give at least ``wanted_looks``.

    ``looks_per_epoch`` is the sum of images x repeats. ``steps_per_epoch`` comes from the training plan and so already
    includes batch size, gradient accumulation and regularization images, which double it. Raises ``ValueError`` if
    there are no images.
    """
    if looks_per_epoch < 1 or steps_per_epoch < 1:
        raise ValueError(f"{looks_per_epoch} images and {steps_per_epoch} steps an epoch cannot be trained on")
    epochs = math.ceil(wanted_looks / looks_per_epoch)
    return Length(epochs, epochs * looks_per_epoch, epochs * steps_per_epoch)


def steps_hint(looks_per_epoch: int, steps_per_epoch: int) -> str:
    """One sentence on how many epochs a dataset of this size needs."""
    usual = propose_length(looks_per_epoch, steps_per_epoch)
    scratch = propose_length(looks_per_epoch, steps_per_epoch, LOOKS_FROM_SCRATCH)
    text = (f"The usual length, about {_round(usual.looks)} images seen, is {_epochs(usual.epochs)} of "
            f"{_steps(steps_per_epoch)}")
    if scratch.epochs == usual.epochs:
        return text + "."
    return text + f"; {_epochs(scratch.epochs)} if the model has never seen anything like it."


def length_problem(looks_per_epoch: int, looks: int) -> str | None:
    """Why a run with ``looks`` images seen is likely too short, or None."""
    if looks >= LEAST_LOOKS:
        return None
    wanted = math.ceil(WANTED_LOOKS / looks_per_epoch)
    return (f"The run sees {looks} images in total, repeats included. Fewer than {LEAST_LOOKS} are rarely enough: "
            f"{_epochs(wanted)} would show {wanted * looks_per_epoch}.")


def propose_save_every(epochs: int) -> int:
    """Epochs between saved files: every epoch of a short run, every fourth of a longer one, at most a dozen files."""
    if epochs <= _MOST_FILES:
        return 1
    return max(_EPOCHS_BETWEEN_FILES, math.ceil(epochs / _MOST_FILES))


def _epochs(number: int) -> str:
    return "1 epoch" if number == 1 else f"{number} epochs"


def _steps(number: int) -> str:
    return "1 step" if number == 1 else f"{number} steps"


def _round(looks: int) -> int:
    """Round to about two digits; more would be false precision."""
    return round(looks, -2) if looks >= 1000 else round(looks, -1)
