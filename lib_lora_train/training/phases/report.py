"""What a run says about its training phases."""

from __future__ import annotations

from typing import Any

from ...batches.timeline import Timeline, TrainingPhase
from ...config.job import setting_named
from ...config.optimizer_args import averages_weights, multiplies_rate
from ...config.phases.effective import PhaseSettings
from ...config.phases.rules import RATES
from ..reporting.report import Reporter

_WITHOUT_EFFECT_ON_WEIGHTS = ("scheduler", "save", "sample")


def phases_as_event(timeline: Timeline) -> list[dict[str, Any]]:
    """The phases for the ``started`` event: name, place in steps and epochs, and steps of an epoch."""
    return [{"number": phase.number, "name": phase.title, "first_step": phase.first_step, "steps": phase.steps,
             "first_epoch": phase.first_epoch, "epochs": phase.plan.epochs,
             "steps_per_epoch": phase.plan.steps_per_epoch} for phase in timeline.phases]


def begun(timeline: Timeline, epoch: int) -> list[dict[str, Any]]:
    """The phases after the first up to ``epoch``, as far as a run that resumes later has to have the same."""
    return [{"first_step": phase.first_step,
             "changes": {key: value for key, value in phase.settings.changes.items()
                         if key not in RATES and key.split(".")[0] not in _WITHOUT_EFFECT_ON_WEIGHTS}}
            for phase in timeline.phases[1:] if phase.first_epoch <= epoch]


def report_phases(timeline: Timeline, reporter: Reporter) -> None:
    """List the phases, and say what carries over from one to the next."""
    for line in phase_lines(timeline):
        reporter.say(line)


def phase_lines(timeline: Timeline) -> list[str]:
    """The phases, one a line, and what carries over from one to the next; empty if there is only one."""
    if len(timeline.phases) == 1:
        return []
    return [f"{len(timeline.phases)} training phases:",
            *(f"  {phase.number}. {_line(phase)}" for phase in timeline.phases), what_carries_over(timeline)]


def what_carries_over(timeline: Timeline) -> str:
    """One sentence on the optimizer's state, which follows from its type."""
    optimizer = timeline.first.job.optimizer
    name, finds = optimizer.optimizer_type, multiplies_rate(optimizer)
    if averages_weights(optimizer):
        what = "Weights, second moments and the learning rate it has found" if finds else "Weights and second moments"
        return (f"{what} carry over from phase to phase; each phase continues from the averaged weights, and its "
                "average begins anew.")
    found = " and the learning rate it has found" if finds else ""
    return f"Weights, the moments of {name}{found} carry over from phase to phase."


def begins(phase: TrainingPhase) -> str:
    """The line that says that ``phase`` begins."""
    return f"Training phase {_line(phase)}"


def prefix_of(phase: PhaseSettings) -> str:
    """What a report on the settings of a phase after the first begins with."""
    return f"In {phase.title}: " if phase.number > 1 else ""


def _line(phase: TrainingPhase) -> str:
    epochs = f"epoch {phase.first_epoch}" if phase.plan.epochs == 1 else \
        f"epochs {phase.first_epoch} to {phase.last_epoch}"
    changes = ", ".join(f"{setting_named(key).name} {_shown(value)}" for key, value in phase.settings.changes.items())
    return (f"{phase.title}: {epochs}, {phase.steps} steps on {len(phase.plan.pictures)} images"
            + (f"; {changes}." if changes else "."))


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "empty"
    return f"{value:g}" if isinstance(value, float) else str("empty" if value in (None, "") else value)
