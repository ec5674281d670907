"""A training run, from its first step to its last file."""

from __future__ import annotations

import dataclasses
import math
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import torch

from ..batches.batches import Batch, load_batch
from ..batches.captions import BatchPosition
from ..batches.timeline import TrainingPhase
from ..config.job import Job
from ..errors import DivergedError, OutOfMemoryError, RunError, TrainLoraError
from ..files.writing import why_it_ended
from ..networks.norms import change_norms
from ..runs.events import DIVERGED, OUT_OF_MEMORY
from ..runs.folder import STRIP_FILE, RunFolder
from .divergence import LossWatch, what_to_try
from .encoding import StoppedEarly
from .holding import off_the_gpu
from .memory import is_out_of_memory, note_memory
from .optimizers.create import averaged_weights, effective_rate
from .phases.report import begins, begun
from .phases.switch import begin_phase
from .reporting.noise_bands import reported
from .reporting.observing import Observer
from .reporting.outputs import SavePoint
from .reporting.pace import Pace
from .reporting.report import Reporter
from .reporting.sampling import Sample, draw_samples
from .reporting.step_clock import StepClock
from .reporting.tensorboard import TensorboardLog
from .setup import Prepared, prepare
from .state import Progress, go_back_to_good_state, save_state
from .step import train_step
from .validation import rounded, validation_losses

_KINDS = {DIVERGED: DivergedError, OUT_OF_MEMORY: OutOfMemoryError}
_NORMS_EVERY_STEPS = 25
_STEPS_UNTIL_MEMORY_IS_KNOWN = 3
_STATE_EVERY_SECONDS = 300.0
"""The most that is lost in a power failure, if no file was saved since."""


def run_training(job: Job, run: RunFolder, reporter: Reporter, memory_advice: str = "",
                 proofs: Path | None = None, observers: Sequence[Observer] = ()) -> bool:
    """Train according to ``job`` and report to ``reporter``; the last event is finished, stopped or error.

    ``memory_advice`` is the advice if memory runs out; ``proofs`` is the optional file of checkpoints that have agreed
    in bf16. ``observers`` are called before the first step and at each save.

    Returns whether the run completed or was stopped properly. Never raises for errors in the run itself: the error is
    an event, with the traceback as its detail if it was unexpected.
    """
    started = time.monotonic()
    try:
        prepared = prepare(job, run, reporter, memory_advice, proofs, observers)
        training = TrainingRun(prepared, run, reporter, observers)
        curves = TensorboardLog(run.path / "tensorboard", training.steps_done, reporter.warning)
        reporter.listen(curves.take)
        try:
            completed = training.execute()
        finally:
            curves.close()
    except StoppedEarly:
        reporter.event("stopped", {"steps": 0, **durations(started, reporter)})
        return True
    except Exception as problem:  # noqa: BLE001 - the run's last word has to be written whatever happened
        report_failure(problem, run, reporter, (
            "Files saved so far are complete, and the run can be resumed from its last "
            f"state. {memory_advice}").rstrip())
        return False
    finally:
        reporter.close()
    ending = "finished" if completed else "stopped"
    reporter.event(ending, {"steps": training.steps_done, **durations(started, reporter)})
    return True


def report_failure(problem: Exception, run: RunFolder, reporter: Reporter, out_of_memory: str) -> None:
    """Report ``problem`` as the last event of ``run``; ``out_of_memory`` follows the sentence that memory ran out.

    The traceback of an unexpected error is the event's detail, so call it where ``problem`` is being handled.
    """
    detail, kind = "", ""
    if isinstance(problem, TrainLoraError):
        said = text = str(problem)
        kind = next((name for name, error in _KINDS.items() if isinstance(problem, error)), "")
    elif is_out_of_memory(problem):
        on_gpu = isinstance(problem, torch.cuda.OutOfMemoryError) or "CPU" not in str(problem)
        where = "The GPU ran out of memory." if on_gpu and not isinstance(problem, MemoryError) else (
            "This computer's main memory ran out. Close other programs.")
        said = text = f"{where} {out_of_memory}"
        detail, kind = str(problem), OUT_OF_MEMORY
    else:
        text, detail = why_it_ended(problem, run.path), traceback.format_exc()
        said = f"{text}\n{detail}"
    reporter.event("error", {"text": text, "detail": detail, "kind": kind})
    reporter.say(f"\n{said}")


def durations(started: float, reporter: Reporter) -> dict[str, float]:
    """The fields of the last event: ``seconds`` at work since ``started``, and ``still_seconds`` besides."""
    still = reporter.still_seconds
    return {"seconds": round(time.monotonic() - started - still, 1), "still_seconds": round(still, 1)}


class TrainingRun:
    """The loop over epochs and steps, and everything between them."""

    def __init__(self, prepared: Prepared, run: RunFolder, reporter: Reporter,
                 observers: Sequence[Observer] = ()) -> None:
        self._p = prepared
        self._observers = observers
        self._phase = prepared.timeline.of_epoch(prepared.progress.next_epoch)
        self._job = self._phase.job
        self._latents = prepared.latents.of(self._phase)
        self._model = prepared.learner.model
        self._run = run
        self._control = run.control
        self._reporter = reporter
        self._clock, self._pace = StepClock(), Pace()
        self._progress = prepared.progress
        self._state_saved = time.monotonic()
        self._training_state_step = prepared.progress.step if run.state_file.is_file() else None
        self._watch = LossWatch()
        self._norms_at = -1

    @property
    def steps_done(self) -> int:
        """Optimizer steps done, including those before a resume."""
        return self._progress.step

    def execute(self) -> bool:
        """Train to the end; returns ``False`` if stopped."""
        epochs = self._p.timeline.epochs
        if self.steps_done == 0:
            self._validate(epoch=0)
            if self._job.sample.sample_at_first:
                self._draw(SavePoint(0, 0))
        for observer in self._observers:
            if not self._control.asked("stop"):
                observer.begin(self._p)
        for epoch in range(self._progress.next_epoch, epochs + 1):
            self._enter(self._p.timeline.of_epoch(epoch))
            if not self._train_epoch(epoch):
                if self.steps_done:
                    self._save(SavePoint(self.steps_done, epoch, epoch_complete=False))
                    self._save_state()
                return False
            self._measure_norms(epoch)
            self._validate(epoch)
            self._end_epoch(SavePoint(self.steps_done, epoch, final=epoch == epochs))
            self._progress = dataclasses.replace(self._progress, saved=True)
            self._save_state()
        return True

    def _enter(self, phase: TrainingPhase) -> None:
        """Begin ``phase`` unless it has been begun before; the first one has nothing to begin."""
        switch = self._p.switch
        if switch is None or self.steps_done != phase.first_step or phase.number == 1:
            return
        begin_phase(self._p.learner)
        switch.apply(self._p.learner, phase, self.steps_done)
        self._phase, self._job, self._latents = phase, phase.job, self._p.latents.of(phase)
        self._watch, self._clock = LossWatch(), StepClock()  # other images or sizes: another loss, another pace
        self._reporter.event("training_phase", {"number": phase.number, "name": phase.title, "step": self.steps_done,
                                                "epoch": phase.first_epoch})
        self._reporter.say(begins(phase))

    def _train_epoch(self, epoch: int) -> bool:
        """One pass over the images; ``False`` if a stop was requested before its end."""
        timeline, plan, seed = self._p.timeline, self._phase.plan, self._job.training.seed
        if self._progress.epoch != epoch:
            self._progress = Progress(step=self.steps_done, epoch=epoch)
        done = self._progress.steps_in_epoch
        batches = plan.epoch_batches(seed, epoch)
        accumulation = self._job.training.gradient_accumulation_steps
        steps = min(math.ceil(len(batches) / accumulation), self._phase.end_step - (self.steps_done - done))
        self._reporter.phase("train", f"Epoch {epoch} of {timeline.epochs}", total=steps - done)
        self._clock.start()
        for first in range(done * accumulation, steps * accumulation, accumulation):
            if not self._may_continue():
                return False
            group = [load_batch(plan, indices, self._latents, self._job.dataset,
                                BatchPosition(seed, epoch, first + number, self.steps_done, timeline.total_steps))
                     for number, indices in enumerate(batches[first:first + accumulation])]
            self._step(group)
            self._save_between_epochs(epoch, is_last=self._progress.steps_in_epoch == steps)
        self._reporter.event("epoch", {"epoch": epoch, "total_epochs": timeline.epochs,
                                       "loss": self._progress.loss_sum / steps})
        return True

    def _step(self, group: list[Batch]) -> None:
        before = self._progress
        try:
            result = train_step(self._p.learner, group, self._job, before.step + 1)
            self._watch.take(before.step + 1, result)
        except DivergedError as problem:
            raise DivergedError(f"{problem} {self._ways_out()}") from None
        self._progress = Progress(before.step + 1, before.epoch, before.steps_in_epoch + 1,
                                  before.loss_sum + result.loss)
        seconds = self._clock.tick()
        timeline = self._p.timeline
        self._pace.take(self._phase, seconds)
        self._reporter.step({"step": self.steps_done, "total_steps": timeline.total_steps, "epoch": before.epoch,
                             "loss": result.loss, **self._rates(), "gradient_norm": result.gradient_norm,
                             "bands": reported(result.bands), "seconds_per_step": seconds,
                             "seconds_left": self._pace.seconds_left(timeline, self._phase, self.steps_done)})
        if self.steps_done % _NORMS_EVERY_STEPS == 0:
            self._measure_norms(before.epoch)
        if before.steps_in_epoch == _STEPS_UNTIL_MEMORY_IS_KNOWN:
            note_memory(self._model.device, self._reporter)

    def _ways_out(self) -> str:
        """Go back to the last good state, and describe the remedies from there."""
        kept = go_back_to_good_state(self._run.state, self._watch.last_good_step)
        if kept is not None:
            self._reporter.event("state_saved", {"step": kept})
        return what_to_try(self._job, self._model.accelerator.mixed_precision, kept)

    def _measure_norms(self, epoch: int) -> None:
        """Report how far the network has moved, once per step."""
        if self._norms_at != self.steps_done:
            self._norms_at = self.steps_done
            norms = dataclasses.asdict(change_norms(self._model.network))
            self._reporter.event("norms", {"step": self.steps_done, "epoch": epoch, **norms})

    def _save_state(self) -> None:
        """Save the training state, unless the loss has begun to explode: it would be useless to resume from."""
        if self._watch.suspicious:
            return
        timeline = self._p.timeline
        save_state(self._run.state, self._p.learner, self._progress, self._p.job, timeline.fingerprint,
                   before_too=self._training_state_step != self.steps_done,
                   phases=begun(timeline, self._progress.epoch))
        self._state_saved = time.monotonic()
        self._training_state_step = self.steps_done
        self._reporter.event("state_saved", {"step": self.steps_done})

    def _rates(self) -> dict[str, float | None]:
        """The learning rates of the next step, without block factors; ``None`` for a part that is not trained."""
        optimizer = getattr(self._p.learner.optimizer, "optimizer", self._p.learner.optimizer)
        rates = {group["part"]: effective_rate(group, optimizer) / group["rate_factor"]
                 for group in optimizer.param_groups
                 if any(parameter.requires_grad for parameter in group["params"])}
        return {"lr_unet": rates.get("unet"), "lr_text_encoder": rates.get("text_encoder")}

    def _may_continue(self) -> bool:
        """``False`` if a stop is requested; first pauses during a hold, off the GPU if necessary.

        The state is saved if the run cannot continue then.
        """
        try:
            held = self._p.boundary.wait(lambda: off_the_gpu(self._p.learner))
        except RunError:
            if self.steps_done:
                self._save_state()
            raise
        if held:
            self._clock.resume()
        return not self._control.asked("stop")

    def _save_between_epochs(self, epoch: int, *, is_last: bool) -> None:
        every = self._job.save.save_every_n_steps
        if every and self.steps_done % every == 0 and not is_last:
            self._save_and_draw(SavePoint(self.steps_done, epoch, epoch_complete=False))
            self._save_state()
            self._clock.start()
        elif time.monotonic() - self._state_saved > _STATE_EVERY_SECONDS:
            self._save_state()

    def _end_epoch(self, point: SavePoint) -> None:
        every = self._job.save.save_every_n_epochs
        due = bool(every) and point.epoch % (every or 1) == 0
        draw_every = self._job.sample.sample_every_n_epochs
        if point.final or due:
            self._save_and_draw(point)
        elif draw_every and point.epoch % draw_every == 0:
            self._draw(point)

    def _save_and_draw(self, point: SavePoint) -> None:
        path = self._save(point)
        draw_every = self._job.sample.sample_every_n_epochs
        if point.final or not draw_every or (point.epoch_complete and point.epoch % draw_every == 0):
            first = next(iter(self._draw(point)), None)
            if first is not None:
                self._p.outputs.keep_preview(first, path)
        for observer in self._observers:
            with averaged_weights(self._p.learner.optimizer):
                if not self._control.asked("stop"):
                    observer.at_save(point)

    def _save(self, point: SavePoint) -> Path:
        self._reporter.phase("save", "Saving")
        with averaged_weights(self._p.learner.optimizer):
            return self._p.outputs.save(self._model.network, point)

    def _draw(self, point: SavePoint) -> list[Sample]:
        """Generate the samples, alike in all training phases; an error is reported and does not end the training."""
        job = self._p.job
        prompts = job.sample.sample_prompts
        drawn: list[Sample] = []
        left_to_webui = job.sample.sample_by == "webui" and (self._run.path / STRIP_FILE).exists()
        if not prompts or left_to_webui:
            return drawn
        self._reporter.phase("sample", "Generating samples", total=len(prompts))
        try:
            with averaged_weights(self._p.learner.optimizer):
                for sample in draw_samples(self._model, job, self._p.boundary.wait):
                    self._p.outputs.keep_sample(sample, point)
                    drawn.append(sample)
                    self._reporter.progress(len(drawn), len(prompts))
                    if self._control.asked("stop"):
                        break
        except (RuntimeError, OSError) as problem:
            self._reporter.warning(f"The samples of step {point.step} could not be generated: {problem}")
        return drawn

    def _validate(self, epoch: int) -> None:
        if self._p.validation:
            self._reporter.phase("validation", "Measuring the loss on held-out images")
            with averaged_weights(self._p.learner.optimizer):
                losses = validation_losses(self._model, self._p.validation, self._job.training.seed,
                                           self._p.boundary.wait)
            self._reporter.event("validation", {"step": self.steps_done, "epoch": epoch, "loss": float(losses.mean()),
                                                "each": rounded(losses.mean(dim=1).tolist())})
