"""The time left of a training run: its steps, and the samples, files and measurements that are still to come."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...config.job import Job
from ...config.phases.effective import phases_of
from .clock import DIAGNOSIS, ENCODING, SAMPLES, SAVING, VALIDATION, PhaseClock
from .first_samples import first_samples_in_steps


class TimeLeft:
    """Takes the events of a run in sequence. ``job`` returns its settings; called once it trains."""

    def __init__(self, job: Callable[[], Job | None]) -> None:
        self._job = job
        self._planned: dict[str, int] | None = None
        self._samples_in_steps = 0.0
        self._started: Mapping[str, Any] | None = None
        self._step: Mapping[str, Any] | None = None
        self._pace: float | None = None
        self._phase_left: float | None = None
        self._phase_elapsed = 0.0
        """How long the phase had taken when it said that."""
        self.clock = PhaseClock()

    def take(self, event: Mapping[str, Any]) -> None:
        """Process the next event."""
        self.clock.take(event)
        kind = event["event"]
        if kind == "step":
            self._step, self._pace = event, event.get("seconds_per_step")
        elif kind == "started":
            self._started, self._planned, self._step = event, None, None
        elif kind in ("phase", "queued"):
            self._phase_left = None
        elif kind == "progress":
            self._phase_left = event.get("seconds_left")
            self._phase_elapsed = self.clock.elapsed(float(event.get("time") or 0.0))

    def seconds(self, now: float) -> float | None:
        """The seconds left at ``now`` (since the epoch); ``None`` before the run knows its pace.

        Samples that have not been measured yet are estimated from the pace of the steps; other phases that have not do
        not count.
        """
        steps = self._of_steps()
        if steps is None:
            return None
        later = sum(self._of(kind, count, now) for kind, count in self._plan().items())
        encoding = (self._rest_of_phase(now) or 0.0) if self.clock.kind == ENCODING else 0.0
        return steps + later + encoding

    def _of_steps(self) -> float | None:
        if self._step is not None:
            return self._step.get("seconds_left")
        if self._started is None or self._pace is None:
            return None  # a resumed run knows its pace from before
        return self._pace * (self._started["total_steps"] - (self._started.get("from_step") or 0))

    def _of(self, kind: str, planned: int, now: float) -> float:
        """The seconds that ``planned`` phases of ``kind`` still take; one that is running counts with its rest."""
        usual, ended = self.clock.usual(kind), self.clock.counts.get(kind, 0)
        if kind == SAMPLES and not usual:
            usual = self._samples_in_steps * (self._pace or 0.0)
        if self.clock.kind != kind:
            return usual * max(0, planned - ended)
        elapsed, rest = self.clock.elapsed(now), self._rest_of_phase(now)
        rest = max(0.0, usual - elapsed) if rest is None else rest
        return rest + (usual or elapsed + rest) * max(0, planned - ended - 1)

    def _rest_of_phase(self, now: float) -> float | None:
        """What the phase last said about its rest, counted down to ``now``; ``None`` if it has said nothing."""
        if self._phase_left is None:
            return None
        return max(0.0, self._phase_left - (self.clock.elapsed(now) - self._phase_elapsed))

    def _plan(self) -> dict[str, int]:
        if self._planned is None:
            job = self._job()
            if job is None or self._started is None:
                return {}
            self._planned = planned_phases(job, self._started)
            try:
                self._samples_in_steps = first_samples_in_steps(job)
            except ValueError:  # a prompt that the run refuses, too
                self._samples_in_steps = 0.0
        return self._planned


def planned_phases(job: Job, started: Mapping[str, Any]) -> dict[str, int]:
    """How many phases of each kind a run of ``job`` has from its ``started`` event to its end.

    Validation and diagnosis are counted whether or not the run has them: without any, they have no measured time.
    """
    epochs, first = int(started["total_epochs"]), int(started.get("from_step") or 0)
    saves = samples = ended = 0
    settings = phases_of(job)
    for place, phase in enumerate(_phases(started)):
        own = _Saves(settings[min(place, len(settings) - 1)].job, epochs, phase, first)
        saves, samples, ended = saves + own.saves, samples + own.samples, ended + len(own.ends)
    draws = bool(job.sample.sample_prompts) and job.sample.sample_by != "webui"
    at_first = int(first == 0)
    samples = samples + int(job.sample.sample_at_first) * at_first if draws else 0
    return {SAVING: saves, SAMPLES: samples, VALIDATION: ended + at_first, DIAGNOSIS: saves + at_first}


class _Saves:
    """What is saved and drawn in a phase of a run of ``epochs`` epochs, after ``done`` steps of the run."""

    def __init__(self, job: Job, epochs: int, phase: Mapping[str, int], done: int) -> None:
        begin, steps = phase["first_step"], phase["steps"]
        length = max(1, phase.get("steps_per_epoch") or math.ceil(steps / max(1, phase["epochs"])))
        inside = min(steps, max(0, done - begin))
        before = phase["epochs"] if inside == steps else inside // length
        self.ends = range(phase["first_epoch"] + before, phase["first_epoch"] + phase["epochs"])
        every, draw, each = job.save.save_every_n_epochs, job.sample.sample_every_n_epochs, job.save.save_every_n_steps
        saved = [epoch for epoch in self.ends if epoch == epochs or (every and epoch % every == 0)]
        drawn = [epoch for epoch in self.ends if epoch == epochs or (epoch % draw == 0 if draw else epoch in saved)]
        first = begin + inside
        within = sum((step - begin) % length != 0 and step != begin + steps
                     for step in range(first - first % each + each, begin + steps + 1, each)) if each else 0
        self.saves = len(saved) + within
        self.samples = len(drawn) + (0 if draw else within)


def _phases(started: Mapping[str, Any]) -> Sequence[Mapping[str, int]]:
    """The training phases, at least one."""
    return started.get("training_phases") or [
        {"first_step": 0, "steps": int(started["total_steps"]), "first_epoch": 1,
         "epochs": int(started["total_epochs"]), "steps_per_epoch": int(started["steps_per_epoch"])}]
