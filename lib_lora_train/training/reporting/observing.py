"""Observers of a run: they look at the model between steps and change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from ...batches.plan import TrainingPlan
from ...config.job import Job
from .outputs import SavePoint

if TYPE_CHECKING:
    from ..setup import Prepared


class Observer(Protocol):
    """An observer of the training loop. All calls come between steps, with the weights as they are saved."""

    def captions(self, job: Job, plan: TrainingPlan) -> Sequence[str]:
        """Captions that it will use beside those of the images; they are encoded before the first step."""
        ...

    def begin(self, prepared: Prepared) -> None:
        """The run is ready for its first step, or for the first one after it was resumed."""
        ...

    def at_save(self, point: SavePoint) -> None:
        """A file was saved."""
        ...
