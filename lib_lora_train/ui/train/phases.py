"""The totals of a job's training phases, and notes on them, for the form."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from ...advice.notes import notes_on
from ...advice.schedule import drawn_rates_of
from ...advice.steps import steps_hint
from ...advice.surroundings import Note, PlanFacts, Surroundings, plan_facts
from ...batches.plan import TrainingPlan, fits_of
from ...batches.timeline import Timeline
from ...config.groups.dataset import DatasetSettings
from ...config.job import Job
from ...config.phases.effective import phases_of
from ...pictures.buckets import Fit
from ..services import Services
from .pace import expected_seconds


def totals_of(services: Services, timeline: Timeline) -> dict[str, Any]:
    """Return steps, epochs, seconds and rates of the run, and of each of its ``phases``."""
    drawn, plan = drawn_rates_of(timeline.phases), timeline.first.plan
    seconds = [expected_seconds(services, phase.job, phase.steps) for phase in timeline.phases]
    phases = [{"number": phase.number, "name": phase.title, "first_step": phase.first_step, "steps": phase.steps,
               "first_epoch": phase.first_epoch, "epochs": phase.plan.epochs, "seconds": duration,
               "steps_per_epoch": phase.plan.steps_per_epoch, "own_curve": phase.settings.starts_curve,
               "images": sum(not picture.regularization for picture in phase.plan.pictures)}
              for phase, duration in zip(timeline.phases, seconds, strict=True)]
    known = [duration for duration in seconds if duration is not None]
    return {"steps_per_epoch": plan.steps_per_epoch, "total_steps": timeline.total_steps, "epochs": timeline.epochs,
            "schedule": drawn.points, "schedule_text": drawn.text, "phases": phases,
            "seconds": sum(known) if len(known) == len(seconds) else None,
            "steps_hint": steps_hint(plan.training_images_per_epoch, plan.steps_per_epoch)}


def phase_facts(timeline: Timeline, held_out: int) -> tuple[PlanFacts, ...]:
    """The facts about the images of each phase; ``held_out`` counts images."""
    return tuple(dataclasses.replace(
        plan_facts(phase.plan, held_out, partial(_fits_with, phase.plan), every=phase.dataset.pictures),
        total_steps=timeline.total_steps, epochs=timeline.epochs) for phase in timeline.phases)


def _fits_with(plan: TrainingPlan, settings: DatasetSettings) -> tuple[Fit, ...]:
    return fits_of(settings, plan.pictures)


def phase_notes(job: Job, around: Surroundings, facts: Sequence[PlanFacts]) -> Iterator[Note]:
    """Notes on the phases after the first that are not notes on an earlier one.

    ``facts`` are those about the images of each phase, empty if unknown.
    """
    known: set[str] = set()
    for place, phase in enumerate(phases_of(job) if job.training.phases else ()):
        for note in notes_on(phase.job, dataclasses.replace(around, plan=facts[place] if facts else None)):
            if note.text not in known and phase.number > 1:
                yield Note("training.phases", f"In {phase.title}: {note.text}")
            known.add(note.text)
