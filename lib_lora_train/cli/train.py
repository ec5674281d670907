"""``train``: trains a LoRA from a job file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from .. import environment
from ..advice.memory import estimate_memory, fit, in_gb, out_of_memory_advice
from ..advice.size import read_shapes
from ..config.job import Job
from ..config.load import job_to_yaml, load_job
from ..config.optimizer_facts import OPTIMIZERS
from ..config.phases.effective import phases_of
from ..errors import ConfigError, WorkerEnvironmentError
from ..runs.events import EventWriter, read_events
from ..runs.folder import JOB_FILE, RunFolder, create_run
from ..runs.process import live_pid, only_worker
from ..runs.progress.report import lines_of, report_of
from .complete import complete
from .usage import options_of

if TYPE_CHECKING:
    from ..training.reporting.report import Reporter

_PROOFS = "bf16_agrees.json"


def train_command(arguments: list[str]) -> int:
    """Train; returns 0 if the run finished or was stopped properly, 1 if it failed."""
    options = options_of("train", arguments)
    run = run_of(options.job)
    try:
        job = load_job(options.job, options.settings, run.changes_file if run is not None else None, complete)
        if options.check:
            from .check import check

            return check(job)
    except ConfigError as problem:
        if run is not None:
            note_error(run, problem)
        raise
    run = run or create_run(options.runs, job.save.output_name, job_to_yaml(job))
    with only_worker(run):
        if not add_packages(job, run):
            return carry_out(job, run)
    start_again([str(run.job_file), *options.settings])


def add_packages(job: Job, run: RunFolder) -> bool:
    """Install the optional packages of this job; returns whether the process must restart to use them.

    Raises ``WorkerEnvironmentError`` if they cannot be installed.
    """
    from ..training.reporting.report import Reporter

    missing = {group: user for group, user in packages_of(job).items() if not environment.check(group).ready}
    if not missing:
        return False
    with EventWriter(run.events_file) as events:
        reporter = Reporter(events)
        for group, user in missing.items():
            reporter.phase("packages", f"Installing {group}, which {user} needs, once")
            try:
                environment.add_optional(group, reporter.say)
            except WorkerEnvironmentError as problem:
                reporter.event("error", {"text": str(problem), "detail": ""})
                raise
    return True


def packages_of(job: Job) -> dict[str, str]:
    """Return the optional package groups that ``job`` needs, each with the setting that needs it."""
    groups = {}
    of_optimizer = OPTIMIZERS[job.optimizer.optimizer_type].package_group
    if of_optimizer is not None:
        groups[of_optimizer] = job.optimizer.optimizer_type
    if any(phase.job.dataset.face_range is not None for phase in phases_of(job)):
        groups["opencv"] = "dataset.face_crop_aug_range"
    return groups


def start_again(arguments: list[str]) -> NoReturn:
    """Restart this command in the updated worker environment; does not return."""
    command = environment.worker_command(["train", *arguments])
    sys.exit(subprocess.run(command, env=environment.worker_environ(), check=False).returncode)


def run_of(job_file: Path) -> RunFolder | None:
    """Return the run folder that contains ``job_file``, if any."""
    folder = job_file.resolve().parent
    return RunFolder(folder) if job_file.name == JOB_FILE and (folder / "control").is_dir() else None


def carry_out(job: Job, run: RunFolder) -> int:
    """Train in ``run``; SIGINT and SIGTERM request a stop, which saves the current state."""
    from ..environment.light_imports import import_compiler_beside, import_lightly

    import_lightly()
    import_compiler_beside()
    from ..diagnosis.observer import observers_of
    from ..training.reporting.report import Reporter
    from ..training.run import run_training

    stop_on_signals(run)
    with EventWriter(run.events_file) as events:
        reporter = Reporter(events)
        reporter.say(f"The run's folder is {run.path}")
        shapes = read_shapes(Path(job.base.checkpoint))
        fitted, switched = fit(shapes or {}, job) if _on_gpu(job) else (job, [])
        if _on_gpu(job):
            report_memory(shapes, job, fitted, switched, reporter)
        well = run_training(fitted, run, reporter, out_of_memory_advice(shapes, fitted),
                            environment.environment_root() / _PROOFS, observers_of(fitted, run, reporter))
        for line in lines_of(report_of(run, read_events(run.events_file)[0], fitted)):
            reporter.say(line)
        return 0 if well else 1


def _on_gpu(job: Job) -> bool:
    """Whether ``job`` sets a memory limit and trains on a GPU; a missing device is reported later."""
    from ..training.precision import resolve_device

    try:
        return job.training.fit_in_gb is not None and resolve_device(job.training.device).type != "cpu"
    except ConfigError:
        return False


def report_memory(shapes: dict[str, list[int]] | None, job: Job, fitted: Job, switched: list[str],
                reporter: Reporter) -> None:
    """Report what was switched so that ``job`` fits into its ``fit_in_gb``, and the expected memory use."""
    limit, estimate = job.training.fit_in_gb, estimate_memory(shapes or {}, fitted)
    if limit is None:
        return
    if estimate is None:
        reporter.warning("How much memory this checkpoint needs is not known before it is loaded, so nothing was "
                         "switched for training.fit_in_gb; if a step does not fit, more is saved then.")
        return
    how = f"to fit in {limit:g} GB: " + "; ".join(switched) if switched else f"and {limit:g} GB is enough"
    reporter.phase("memory", f"About {in_gb(estimate.total)} of GPU memory will be needed, {how}.")


def stop_on_signals(run: RunFolder) -> None:
    """Let SIGINT, SIGTERM and SIGBREAK request a regular stop of ``run``."""

    def ask_to_stop(number: int, frame: FrameType | None) -> None:
        run.control.request("stop")

    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), ask_to_stop)


def note_error(run: RunFolder, problem: ConfigError) -> None:
    """Log why the run could not start; a worker that is already running logs its own errors."""
    if live_pid(run) not in (None, os.getpid()):
        return
    with EventWriter(run.events_file) as events:
        events.write("error", {"text": str(problem), "detail": ""})
