"""How an ended run is resumed or continued: under which name, for how long, and at which rates."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ..config.change import changed
from ..config.job import Job
from ..config.load import load_job, read_file
from ..config.optimizer_args import finds_own_rate, sets_own_rate
from ..config.phases.effective import phases_of
from ..config.text_yaml import write_yaml
from ..errors import RunError
from ..files.atomic import write_atomically
from .folder import CHANGES_FILE, RunFolder
from .names import next_free_name
from .summary import RunSummary

RESUME, MORE = "resume", "more"
_INTERRUPTED = ("stopped", "failed", "lost")
_RATES = ("learning_rate", "unet_lr", "text_encoder_lr", "text_encoder_lr2")


@dataclass(frozen=True)
class ContinueOptions:
    """``resume`` an interrupted run, or train ``more`` epochs on top of a finished one.

    ``epochs`` is how many more; the learning rates are those of the job file times ``rate_factor``, or stay as they
    are with ``None``.
    """

    how: str = RESUME
    epochs: int = 0
    rate_factor: float | None = None


@dataclass(frozen=True)
class Continuation:
    """The plan for continuing a run. ``steps`` are the remaining ones, ``seconds`` their duration at the last steps'
    pace.

    ``changes`` is the partial job that overrides the job file from now on.
    """

    name: str
    from_step: int
    steps: int | None
    total_steps: int | None
    epochs: int | None
    seconds: float | None
    unet_lr: float
    text_encoder_lr: float
    rate_factor: float
    optimizer: str
    adaptive: bool
    schedule: str
    changes: dict[str, Any]


def job_of(run: RunFolder) -> Job:
    """The current job of the run. Raises ``ConfigError`` if its files cannot be read."""
    return load_job(run.job_file, (), run.changes_file)


def plan_continuation(run: RunFolder, summary: RunSummary, options: ContinueOptions,
                      taken_names: Collection[str]) -> Continuation:
    """The result of ``options``. Raises ``RunError`` if this run does not allow them, ``ConfigError`` as ``job_of``."""
    _check_possible(run, summary, options)
    asked, job = load_job(run.job_file), job_of(run)
    name = summary.lora_name or job.save.output_name
    changes: dict[str, Any] = {}
    if run.changes_file is not None:
        changes = read_file(run.changes_file)
    total, from_step = summary.total_steps, summary.training_state_step if summary.has_training_state else 0
    epochs = None
    if options.how == MORE or summary.diverged:  # some files of a diverged run may be bad too, and stay
        name = next_free_name(name, taken_names)
        changes["save"] = {"output_name": name}
    if options.how == MORE:
        epochs = options.epochs
        total = from_step + epochs * (summary.steps_per_epoch or 0)
        changes["training"] = _longer(job, epochs, (summary.total_epochs or 0) + epochs, total)
    if options.rate_factor is not None:
        changes["optimizer"] = _rates(asked, options.rate_factor)
    if asked.training.phases and (options.how == MORE or options.rate_factor is not None):
        phases = changes.get("training", {}).get("phases", job.training.phases)
        factor = 1.0 if options.rate_factor is None else options.rate_factor
        changes["training"] = {**changes.get("training", {}), "phases": _phases_at(asked, phases, factor)}
    job = changed(job, {f"{group}.{name}": value for group in ("optimizer", "training")
                        for name, value in changes.get(group, {}).items()})
    job, asked = (phases_of(one)[-1].job if options.how == MORE else one for one in (job, asked))
    steps = total - from_step if total is not None else None
    seconds = summary.usual_seconds_per_step * steps if summary.usual_seconds_per_step and steps is not None else None
    before = max(asked.optimizer.unet_rate, asked.optimizer.text_encoder_rate)
    now = max(job.optimizer.unet_rate, job.optimizer.text_encoder_rate)
    return Continuation(name, from_step, steps, total, epochs, seconds, job.optimizer.unet_rate,
                        job.optimizer.text_encoder_rate, now / before if before else 1.0,
                        job.optimizer.optimizer_type, finds_own_rate(job.optimizer),
                        job.scheduler.lr_scheduler, changes)


def keep_changes(run: RunFolder, changes: dict[str, Any]) -> None:
    """Continue ``run`` with ``changes`` applied to its job file, which itself stays unchanged."""
    if changes:
        write_atomically(run.path / CHANGES_FILE, write_yaml(changes))


def _check_possible(run: RunFolder, summary: RunSummary, options: ContinueOptions) -> None:
    if options.how == RESUME and summary.state not in _INTERRUPTED:
        raise RunError(f"The run {run.id} is {summary.state}. Only one that was stopped or interrupted can be resumed.")
    if options.how == MORE:
        if summary.state != "finished":
            raise RunError(f"The run {run.id} is {summary.state}. Only a finished one can be given more epochs.")
        if not run.state_file.is_file():
            raise RunError(f"The state of the run {run.id} is gone, so it cannot be given more epochs. Start a new run "
                           "with the same settings.")
        if options.epochs < 1:
            raise RunError(f"The number of epochs is {options.epochs}. Give 1 or more.")
    if options.rate_factor is not None and not 0 < options.rate_factor <= 10:
        raise RunError(f"The learning rate cannot be multiplied by {options.rate_factor:g}. Give a number above 0, "
                       "at most 10.")
    if options.rate_factor not in (None, 1) and sets_own_rate(load_job(run.job_file).optimizer):
        raise RunError("AdaFactor ignores learning rates while relative_step is on, so it cannot be resumed at another "
                       "one. Resume it unchanged, or start a new run with another optimizer.")


def _longer(job: Job, epochs: int, all_epochs: int, all_steps: int) -> dict[str, Any]:
    """The settings of ``training`` for ``epochs`` more; they follow the last phase as one of their own."""
    if job.training.phases:
        return {"phases": [*job.training.phases, {"name": "more epochs", "epochs": epochs}]}
    return {"max_train_epochs": all_epochs} if job.training.max_train_steps is None else {"max_train_steps": all_steps}


def _phases_at(asked: Job, phases: list[dict[str, Any]], factor: float) -> list[dict[str, Any]]:
    """``phases`` at the rates of ``asked`` times ``factor``; those added since have the rates of its last phase."""
    found = []
    for number, phase in enumerate(phases):
        if number < len(asked.training.phases):
            own = {name: float(f"{rate * factor:.6g}") if name in _RATES and rate is not None else rate
                   for name, rate in asked.training.phases[number].get("optimizer", {}).items()}
        else:
            own = _rates(phases_of(asked)[-1].job, factor)
        found.append({**phase, "optimizer": own} if own else phase)
    return found


def _rates(job: Job, factor: float) -> dict[str, float]:
    given = {name: getattr(job.optimizer, name) for name in _RATES}
    return {name: float(f"{rate * factor:.6g}") for name, rate in given.items() if rate is not None}
