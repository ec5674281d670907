"""``tag``: captions the images of a folder with a tagger."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

from .. import environment
from ..config.groups.tagging import IF_EMPTY
from ..config.load import job_to_yaml
from ..config.tag_job import TagJob, load_tag_job
from ..errors import ConfigError, RunError, WorkerEnvironmentError
from ..runs.events import EventWriter, read_events
from ..runs.folder import TAG, RunFolder, create_run
from ..runs.process import only_worker
from ..runs.standing import Standing
from ..training.reporting.report import Reporter
from .train import note_error, run_of, stop_on_signals
from .usage import options_of

PROVIDER_PACKAGES = {"cuda": "onnxruntime-gpu", "directml": "onnxruntime-directml"}
"""The optional group of packages of a provider."""


def tag_command(arguments: list[str]) -> int:
    """Tag; returns 0 if the run finished or was stopped properly, 1 if it failed."""
    options = options_of("tag", arguments)
    run = run_of(options.job)
    try:
        job = load_tag_job(options.job, options.settings)
        _check_safety(job, options.settings, run)
    except (ConfigError, RunError) as problem:
        if run is not None and isinstance(problem, ConfigError):
            note_error(run, problem)
        raise
    name = f"tags-{Path(job.dataset.train_data_dir).name}"
    run = run or create_run(options.runs, name, job_to_yaml(job), TAG)
    with only_worker(run):
        status = carry_out_tagging(job, run)
    return start_again(run) if status is None else status


def carry_out_tagging(job: TagJob, run: RunFolder) -> int | None:
    """Tag in ``run``; SIGINT and SIGTERM request a stop, after which the finished captions are written.

    Returns the exit status, or ``None`` if packages were installed that need a new process.
    """
    stop_on_signals(run)
    with EventWriter(run.events_file) as events:
        reporter = Reporter(events)
        reporter.say(f"The run's folder is {run.path}")
        if add_package(PROVIDER_PACKAGES.get(job.tagger.provider), reporter):
            return None
        if job.tagger.download or job.prose.download:
            from ..tagging.download import allow_downloads

            allow_downloads()
        from ..tagging.run import run_tagging

        standing = Standing(run.control, reporter)
        return 0 if run_tagging(job, run.state / "tags.jsonl", run.control.asked, lambda: standing.wait(nullcontext),
                                reporter) else 1


def _check_safety(job: TagJob, settings: list[str], run: RunFolder | None) -> None:
    """Allow a mode that changes captions for one run only: not from a job file, and not twice."""
    if run is not None:
        if any(event["event"] in ("finished", "stopped") for event in read_events(run.events_file)[0]):
            raise RunError(f"The run {run.id} is over: its captions are written, and may have been edited since. "
                           "Start a new one.")
        return
    in_command = any(setting.startswith("write.mode=") for setting in settings)
    if job.write.mode != IF_EMPTY and not in_command:
        raise ConfigError(f"write.mode is {job.write.mode} in the job file, where it would change your captions at "
                          f"every run. Leave it out there, and say it for this run: write.mode={job.write.mode}")


def add_package(group: str | None, reporter: Reporter) -> bool:
    """Install the optional ``group`` of packages if it is missing; returns whether it was installed."""
    if group is None:
        return False
    try:
        if environment.check(group).ready:
            return False
        reporter.phase("packages", f"Installing {group}, which is done once")
        environment.add_optional(group, reporter.say)
    except WorkerEnvironmentError as problem:
        reporter.warning(f"{problem} The run continues with what is there.")
        return False
    return True


def start_again(run: RunFolder) -> int:
    """Restart this program, so that it finds the packages just installed."""
    command = environment.worker_command([run.command, str(run.job_file)])
    if sys.platform == "win32":
        return subprocess.run(command, check=False, env=environment.worker_environ()).returncode
    os.execve(command[0], command, environment.worker_environ())
