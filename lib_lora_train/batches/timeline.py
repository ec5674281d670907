"""The training phases of a run on one axis of steps and epochs, each with its plan."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..config.groups.dataset import DatasetSettings
from ..config.job import Job
from ..config.phases.effective import PhaseSettings, phases_of
from ..errors import ConfigError
from ..pictures.scan import SCAN_SETTINGS, Dataset
from .plan import TrainingPlan, plan_of


@dataclass(frozen=True)
class TrainingPhase:
    """A phase in its run. Steps and epochs count through the whole run.

    ``dataset`` are the images as its settings read them, ``plan`` those that it trains on. ``first_step`` steps are
    done before it, and ``first_epoch`` is its first epoch (from 1). Its rates are a part of the curve that begins after
    ``curve_first`` steps and has ``curve_steps``.
    """

    settings: PhaseSettings
    dataset: Dataset
    plan: TrainingPlan
    first_step: int
    first_epoch: int
    curve_first: int
    curve_steps: int

    @property
    def number(self) -> int:
        """Its number, from 1."""
        return self.settings.number

    @property
    def title(self) -> str:
        """Its name, else its number."""
        return self.settings.title

    @property
    def job(self) -> Job:
        """Its settings."""
        return self.settings.job

    @property
    def steps(self) -> int:
        """Its optimizer steps."""
        return self.plan.total_steps

    @property
    def end_step(self) -> int:
        """The steps done after it."""
        return self.first_step + self.steps

    @property
    def last_epoch(self) -> int:
        """Its last epoch."""
        return self.first_epoch + self.plan.epochs - 1


@dataclass(frozen=True)
class Timeline:
    """The phases of a run, at least one."""

    phases: tuple[TrainingPhase, ...]

    @property
    def first(self) -> TrainingPhase:
        """The phase that the job itself is."""
        return self.phases[0]

    @property
    def total_steps(self) -> int:
        """The steps of the run."""
        return self.phases[-1].end_step

    @property
    def epochs(self) -> int:
        """The epochs of the run."""
        return self.phases[-1].last_epoch

    @property
    def images_seen(self) -> int:
        """The training images seen in all phases, repeats included."""
        return sum(round(phase.plan.training_images_per_epoch * phase.steps / phase.plan.steps_per_epoch)
                   for phase in self.phases)

    @property
    def steps_of_first_kind(self) -> int:
        """The steps in which the first phase would see as many images as the whole run."""
        plan = self.first.plan
        if len(self.phases) == 1:
            return plan.total_steps
        return round(self.images_seen * plan.steps_per_epoch / max(1, plan.training_images_per_epoch))

    @property
    def biggest(self) -> TrainingPhase:
        """The phase with the most pixels in a batch."""
        return max(self.phases, key=lambda phase: phase.plan.batch_size * max(
            bucket.width * bucket.height for bucket in phase.plan.by_bucket))

    @cached_property
    def fingerprint(self) -> str:
        """That of the plan, or of those of all phases together."""
        prints = [phase.plan.fingerprint for phase in self.phases]
        return prints[0] if len(prints) == 1 else hashlib.sha256("".join(prints).encode()).hexdigest()

    def of_epoch(self, epoch: int) -> TrainingPhase:
        """The phase that ``epoch`` belongs to; the last one beyond its end."""
        return next((phase for phase in self.phases if epoch <= phase.last_epoch), self.phases[-1])

    def with_jobs(self, job: Job) -> Timeline:
        """The same phases with the settings of ``job``, which may have changed where plans do not depend on it."""
        return Timeline(tuple(dataclasses.replace(phase, settings=settings)
                              for phase, settings in zip(self.phases, phases_of(job), strict=True)))


def timeline_of(job: Job, survey: Callable[[DatasetSettings], Dataset], scanned: Dataset | None = None,
                begins: int = 0) -> Timeline:
    """The phases of ``job``. ``survey`` reads the images again for a phase that reads them differently.

    ``scanned`` are the images as the job itself reads them, if known. ``begins``: the step at which a finished run
    was continued, where a rate curve starts anew. Raises as ``plan_of`` and ``survey``, naming the phase.
    """
    known: dict[str, Dataset] = {} if scanned is None else {_reading(job.dataset): scanned}
    placed: list[TrainingPhase] = []
    for settings in phases_of(job):
        key = _reading(settings.job.dataset)
        try:
            if key not in known:
                known[key] = survey(settings.job.dataset)
            plan = plan_of(settings.job.dataset, known[key], settings.job.training)
        except ConfigError as problem:
            if settings.number == 1:
                raise
            raise ConfigError(f"training.phases, {settings.title}: {problem}") from problem
        before = placed[-1] if placed else None
        placed.append(TrainingPhase(settings, known[key], plan, before.end_step if before else 0,
                                    before.last_epoch + 1 if before else 1, 0, 0))
    return Timeline(tuple(_with_curves(placed, begins)))


def _reading(settings: DatasetSettings) -> str:
    """What a scan depends on."""
    return repr([getattr(settings, name) for name in SCAN_SETTINGS])


def _with_curves(phases: Sequence[TrainingPhase], begins: int) -> list[TrainingPhase]:
    """``phases`` with their curves: each lasts until another phase starts its own."""
    starts = [phase.first_step for phase in phases if phase.settings.starts_curve]
    found = []
    for phase in phases:
        first = max(start for start in starts if start <= phase.first_step)
        end = min([start for start in starts if start > first], default=phases[-1].end_step)
        if first <= begins < end:
            first = begins
        found.append(dataclasses.replace(phase, curve_first=first, curve_steps=end - first))
    return found
