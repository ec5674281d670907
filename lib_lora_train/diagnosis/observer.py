"""Measures single images and tags while a run trains, within a share of its time, and changes nothing of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..batches.plan import TrainingPlan
from ..batches.timeline import Timeline
from ..config.job import Job
from ..errors import TrainLoraError, WriteError
from ..files.atomic import write_atomically
from ..files.writing import open_to_append, writing
from ..runs.diagnosis.records import (
    FINDINGS_FILE,
    FOLDER,
    MEASUREMENTS_FILE,
    PLAN_FILE,
    DiagnosisPlan,
    Measurement,
    findings_json,
    measurement_json,
    plan_json,
    read_measurements,
    read_plan,
)
from ..runs.folder import RunFolder
from ..training.holding import off_the_gpu
from ..training.reporting.observing import Observer
from ..training.reporting.outputs import SavePoint
from ..training.reporting.report import Reporter
from ..training.setup import Prepared
from ..training.validation import TIMESTEPS
from .budget import IMAGES_PART, Budget
from .drift_observer import DriftObserver
from .images import SWAP, CaptionTest, MeasuredImages
from .judging.findings import findings_of
from .meter import GRADIENT_COST, Meter
from .plan import FEWEST, captions_ahead, judged_until, later_images, plan_for, tests_of, triggers_of
from .point import PointMeasures, measure_point


class Stopped(Exception):
    """A stop was requested during a measurement, which is then dropped."""


_FEATURES_SHARE = 0.8
"""The features of all images are measured if they take no more than this part of the time at a point."""
_FEWEST_POINTS = 2
MEASURED_TIMESTEPS = (TIMESTEPS[1], *TIMESTEPS[-2:])
"""Of those of the validation: one with little noise, and the noisiest, at which captions count most."""


def observers_of(job: Job, run: RunFolder, reporter: Reporter) -> list[Observer]:
    """The diagnosis, if ``job`` wants it."""
    if not job.diagnosis.diagnose:
        return []
    return [DiagnosisObserver(job, run, reporter), DriftObserver(job, reporter)]


class DiagnosisObserver:
    """Writes ``plan.json``, ``measurements.jsonl`` and ``findings.json`` of a run.

    A failure of its own is a warning, and the training continues without it.
    """

    def __init__(self, job: Job, run: RunFolder, reporter: Reporter,
                 clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives the seconds that the measuring is limited by."""
        self._job, self._run, self._reporter, self._clock = job, run, reporter, clock
        self._folder = run.path / FOLDER
        self._state: _Measuring | None = None

    def captions(self, job: Job, plan: TrainingPlan) -> Sequence[str]:
        """The captions without a tag that can be tested, if captions are encoded before the first step."""
        return captions_ahead(job, plan)

    def begin(self, prepared: Prepared) -> None:
        """Plan the measuring, and measure before the first step; a resumed run continues its plan."""
        self._guarded(lambda: self._begin(prepared), "before training")

    def at_save(self, point: SavePoint) -> None:
        """Measure at a save, if there was time, and update the findings."""
        if self._state is not None:
            self._guarded(lambda: self._measure(point), f"of step {point.step}")

    def _guarded(self, act: object, when: str) -> None:
        assert callable(act)
        try:
            act()
        except Stopped:
            return
        except TrainLoraError as problem:
            if not isinstance(problem, WriteError):
                raise  # of the run itself, such as weights that the webui gave back changed
            self._give_up(when, problem)
        except Exception as problem:  # noqa: BLE001 - whatever fails here must not end the training
            self._give_up(when, problem)

    def _give_up(self, when: str, problem: Exception) -> None:
        self._state = None
        self._reporter.warning(f"The diagnosis {when} failed, and nothing more is measured in this run: {problem} The "
                               "training is not affected.")

    def _begin(self, prepared: Prepared) -> None:
        with writing(self._folder):
            self._folder.mkdir(exist_ok=True)
        self._state = _Measuring(prepared, self._run, self._reporter, self._clock)
        if prepared.progress.step == 0:
            self._measure(SavePoint(0, 0))

    def _measure(self, point: SavePoint) -> None:
        assert self._state is not None
        self._state.measure(point)


class _Measuring:
    """The diagnosis of a run that is being trained."""

    def __init__(self, prepared: Prepared, run: RunFolder, reporter: Reporter, clock: Callable[[], float]) -> None:
        self._p, self._run, self._reporter, self._folder = prepared, run, reporter, run.path / FOLDER
        job, learner = prepared.job, prepared.learner
        self._images = MeasuredImages(prepared.plan, prepared.latents.first, job.dataset)
        self._budget = Budget(IMAGES_PART * job.diagnosis.diagnosis_share / 100, points_of(prepared.timeline),
                              lambda: reporter.still_seconds, clock)
        self._meter = Meter(learner.model, self._images, job.training.seed, MEASURED_TIMESTEPS, self._between,
                            self._budget.seconds)
        self._first_step = prepared.progress.step
        self._plan = self._continued()
        self._done = [] if self._plan is None else read_measurements(self._folder)

    def measure(self, point: SavePoint) -> None:
        """Measure at ``point``, unless that was done before the run was interrupted."""
        if any(done.step == point.step for done in self._done):
            return
        self._reporter.phase("diagnosis", "Measuring single images and tags")
        self._budget.begin()
        plan = self._plan or self._new_plan()
        self._images.load(plan.measured)
        self._budget.restart()  # what is encoded now need not be encoded in training
        allowed = self._budget.allowance(self._run_seconds(point.step))
        self._meter.limit(allowed)
        measures = PointMeasures(plan, self._images, self._meter, self._images.read(self._between))
        complete = measure_point(measures, self._all_affordable(plan, allowed), self._tests(plan),
                                 agreement_due=self._agreement_is_due(plan, point, allowed))
        seconds = self._budget.end()
        if complete:
            self._keep(plan, measures.measurement(point.step, point.epoch, round(seconds, 3), plan.left_out))
        elif point.final and len(self._done) < _FEWEST_POINTS:
            self._write_findings(plan, _too_short(len(self._done), self._p.job))

    def _new_plan(self) -> DiagnosisPlan:
        """Make the plan and write it; the first predictions show how long one takes."""
        few = range(min(self._images.count, FEWEST))
        self._images.load(few)
        self._meter.limit(float("inf"))
        self._meter.features(few)  # the first ones take longer
        self._meter.seconds_per_prediction = 0.0
        self._meter.features(few)
        plan = plan_for(self._p.job, self._p.timeline, self._images, MEASURED_TIMESTEPS, self._predictions(),
                        self._between)
        write_atomically(self._folder / PLAN_FILE, plan_json(plan))
        self._plan = plan
        return plan

    def _all_affordable(self, plan: DiagnosisPlan, allowed: float) -> list[int]:
        """The images whose features are measured: all, once, as soon as there is time for it, and until then a part."""
        known = max((sum(row is not None for row in done.features) for done in self._done), default=0)
        if known == len(plan.images):
            return []
        cheap = len(plan.images) * self._meter.seconds_per_prediction <= _FEATURES_SHARE * allowed
        part = [] if known else list(plan.measured)
        chosen = [image.index for image in plan.images] if cheap else part
        self._images.load(chosen)
        return chosen

    def _agreement_is_due(self, plan: DiagnosisPlan, point: SavePoint, allowed: float) -> bool:
        """Once after training began, as soon as there is time for it beside the losses."""
        measured = any(value is not None for done in self._done for value in done.agreement)
        predictions = len(plan.measured) * (GRADIENT_COST + len(MEASURED_TIMESTEPS))
        return not measured and point.step > 0 and predictions * self._meter.seconds_per_prediction < allowed

    def _tests(self, plan: DiagnosisPlan) -> list[CaptionTest]:
        """All tests of captions, beginning with the next one; after the last they are made again."""
        known = self._p.learner.model.known_states
        tests = [test for test in tests_of(plan, triggers_of(self._p.job), self._p.job.training.seed)
                 if known is None or test.kind == SWAP or self._images.caption_of(test) in known]
        made = sum(len(done.swapped) + len(done.tags) + sum(row is not None for row in done.empty)
                   for done in self._done)
        start = made % len(tests) if tests else 0
        return tests[start:] + tests[:start]

    def _keep(self, plan: DiagnosisPlan, found: Measurement) -> None:
        file = self._folder / MEASUREMENTS_FILE
        with writing(file), open_to_append(file) as stream:
            line = measurement_json(found)
            stream.write(f"\n{line}\n".encode("utf-8", "backslashreplace"))
        self._done.append(found)
        self._write_findings(plan)

    def _write_findings(self, plan: DiagnosisPlan, *left_out: str) -> None:
        until = judged_until(self._p.timeline)
        found = findings_of(plan, [one for one in self._done if one.step <= until])
        found = replace(found, left_out=(*found.left_out, *left_out))
        write_atomically(self._folder / FINDINGS_FILE, findings_json(found))

    def _continued(self) -> DiagnosisPlan | None:
        """The plan of this run, if it began earlier with the same images; later phases may have changed."""
        plan = read_plan(self._folder)
        if plan is not None and plan.fingerprint != self._p.plan.fingerprint:
            for name in (PLAN_FILE, MEASUREMENTS_FILE, FINDINGS_FILE):
                if (self._folder / name).exists():
                    (self._folder / name).replace(self._folder / f"step{self._first_step:08d}-{name}")
            return None
        later = later_images(self._p.timeline)
        if plan is not None and plan.later != later:
            plan = replace(plan, later=tuple(dict.fromkeys((*(plan.later or ()), *later))))
            write_atomically(self._folder / PLAN_FILE, plan_json(plan))
        return plan

    def _run_seconds(self, step: int) -> float:
        timeline, plan = self._p.timeline, self._p.plan
        return self._budget.expected_run_seconds(step - self._first_step, timeline.total_steps - step,
                                                 self._meter.seconds_per_prediction,
                                                 plan.batch_size * plan.accumulation)

    def _predictions(self) -> int:
        """How many predictions the whole diagnosis may make, from the pace of the first ones."""
        pace = self._meter.seconds_per_prediction
        seconds = IMAGES_PART * self._p.job.diagnosis.diagnosis_share / 100 * self._run_seconds(self._first_step)
        return int(seconds / pace) if pace else 0

    def _between(self) -> None:
        """Hold while the webui needs the GPU or its weights; leave if a stop is requested."""
        self._p.boundary.wait(lambda: off_the_gpu(self._p.learner))
        if self._run.control.asked("stop"):
            raise Stopped


def _too_short(measured: int, job: Job) -> str:
    """What to say of a run with too little time to measure it."""
    times = "nothing was measured" if not measured else "the images were measured only once"
    return (f"The run was so short that {times} in {job.diagnosis.diagnosis_share:g} % of its time. Raise "
            "diagnosis.diagnosis_share, or train longer.")


def points_of(timeline: Timeline) -> int:
    """How often a run is measured: before the first step and at each save."""
    saves = 0
    for phase in timeline.phases:
        epochs, steps = phase.job.save.save_every_n_epochs, phase.job.save.save_every_n_steps
        saves += phase.last_epoch // epochs - (phase.first_epoch - 1) // epochs if epochs else 0
        saves += phase.end_step // steps - phase.first_step // steps if steps else 0
    return 1 + max(1, saves)
