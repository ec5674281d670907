"""What the best of a run's epochs says about the next run."""

from __future__ import annotations

from ..config.groups.scheduler import SchedulerSettings
from .strength import StrengthAdvice

_CONSTANT = ("constant", "constant_with_warmup")


def epoch_advice(epoch: int | None, steps: int | None, epochs: int | None,
                 scheduler: SchedulerSettings) -> StrengthAdvice:
    """Settings of a next run that stops where the best file was saved: after ``epoch``, or after ``steps``.

    ``steps`` is given for a file that was saved between two epochs, ``epochs`` is how many the run made.
    """
    changes: dict[str, int | None]
    if steps is not None:
        changes, where = {"training.max_train_steps": steps}, f"{steps:,} steps"
    elif epoch:
        changes = {"training.max_train_epochs": epoch, "training.max_train_steps": None}
        where = f"{epoch} {'epoch' if epoch == 1 else 'epochs'}"
    else:
        return StrengthAdvice({}, ())
    sentences = [f"Best after {where}: the next run can stop there."]
    if steps is None and epochs is not None and epoch is not None and epoch >= epochs:
        sentences = [f"Best at the end, after {where}: more epochs may be better still."]
    elif scheduler.lr_scheduler not in _CONSTANT:
        sentences.append(f"With {scheduler.lr_scheduler} the learning rate then falls within these {where.split()[1]}, "
                         "so the result is a little less trained than this file.")
    return StrengthAdvice(changes, tuple(sentences))
