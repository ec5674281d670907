"""How long to train.

After the guide's "Number of steps/epochs" and "Starting settings". The guide counts a step for every look at a
picture; an optimizer step looks at ``batch size x gradient accumulation`` pictures at once, so both are told apart
here: *looks* and *steps*.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

WANTED_LOOKS = 1000
"""What it usually takes for training to stick."""

LEAST_LOOKS = 800
"""The bare minimum, for what the model half knows already."""

LOOKS_FROM_SCRATCH = 1500
"""For a creature or thing that the model has never seen."""

_MOST_FILES = 12
_EPOCHS_BETWEEN_FILES = 4


@dataclass(frozen=True)
class Length:
    """How long a run is. ``looks`` counts training pictures only; ``steps`` are optimizer steps, all included."""

    epochs: int
    looks: int
    steps: int


def propose_length(looks_per_epoch: int, steps_per_epoch: int, wanted_looks: int = WANTED_LOOKS) -> Length:
    """The fewest epochs that give at least ``wanted_looks``.

    ``looks_per_epoch`` is the sum of pictures x repeats. ``steps_per_epoch`` comes from the training plan, so that
    batches, gradient accumulation and regularization pictures, which double it, are in it already.
    Raises ``ValueError`` if there are no pictures.
    """
    if looks_per_epoch < 1 or steps_per_epoch < 1:
        raise ValueError(f"{looks_per_epoch} images and {steps_per_epoch} steps an epoch cannot be trained on")
    epochs = math.ceil(wanted_looks / looks_per_epoch)
    return Length(epochs, epochs * looks_per_epoch, epochs * steps_per_epoch)


def steps_hint(looks_per_epoch: int, steps_per_epoch: int) -> str:
    """One sentence on how many epochs a set of this size wants."""
    usual = propose_length(looks_per_epoch, steps_per_epoch)
    scratch = propose_length(looks_per_epoch, steps_per_epoch, LOOKS_FROM_SCRATCH)
    text = (f"The usual length, about {_round(usual.looks)} images seen, is {_epochs(usual.epochs)} of "
            f"{_steps(steps_per_epoch)}")
    if scratch.epochs == usual.epochs:
        return text + "."
    return text + f"; {_epochs(scratch.epochs)} if the model has never seen anything like it."


def length_problem(looks_per_epoch: int, looks: int) -> str | None:
    """Why a run of ``looks`` in all is likely too short, or None."""
    if looks >= LEAST_LOOKS:
        return None
    wanted = math.ceil(WANTED_LOOKS / looks_per_epoch)
    return (f"The run sees {looks} images in total, repeats included. Fewer than {LEAST_LOOKS} are rarely enough: "
            f"{_epochs(wanted)} would show {wanted * looks_per_epoch}.")


def propose_save_every(epochs: int) -> int:
    """Epochs between saved files: each one of a short run, every fourth of a longer, never more than a dozen files."""
    if epochs <= _MOST_FILES:
        return 1
    return max(_EPOCHS_BETWEEN_FILES, math.ceil(epochs / _MOST_FILES))


def _epochs(number: int) -> str:
    return "1 epoch" if number == 1 else f"{number} epochs"


def _steps(number: int) -> str:
    return "1 step" if number == 1 else f"{number} steps"


def _round(looks: int) -> int:
    """To two digits or so, since nobody needs more."""
    return round(looks, -2) if looks >= 1000 else round(looks, -1)
