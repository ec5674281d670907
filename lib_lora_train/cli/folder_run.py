"""What ``tag`` and ``mask`` have in common: a run over the images of a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from .. import environment
from ..config.load import job_to_yaml
from ..config.mask_job import MaskJob
from ..config.tag_job import TagJob
from ..errors import ConfigError, RunError, WorkerEnvironmentError
from ..runs.events import EventWriter, read_events
from ..runs.folder import RunFolder, create_run
from ..runs.process import only_worker
from ..runs.standing import Standing
from ..training.reporting.report import Reporter
from .train import note_error, run_of, stop_on_signals
from .usage import options_of

AnyJob = TypeVar("AnyJob", TagJob, MaskJob)
PROVIDER_PACKAGES = {"cuda": "onnxruntime-gpu", "directml": "onnxruntime-directml"}
"""The optional group of packages of a provider."""

Act = Callable[[AnyJob, RunFolder, Callable[[], object], Reporter], bool]
"""Carries out the job in its run folder; the function blocks while the run is paused. ``False`` if the run failed."""


@dataclass(frozen=True)
class FolderCommand(Generic[AnyJob]):
    """A command that makes one thing of each image of a folder, such as ``tag`` makes ``captions``.

    ``name`` begins the run's name. In one of ``safe_modes``, nothing that exists is touched; other modes would
    ``replace`` it. ``later`` is what may have become of the results since. ``packages`` and ``downloads`` say which
    optional group a job needs, and whether it may download.
    """

    command: str
    load: Callable[[Path, list[str]], AnyJob]
    name: str
    things: str
    written: str
    later: str
    replace: str
    safe_modes: tuple[str, ...]
    packages: Callable[[AnyJob], str | None]
    downloads: Callable[[AnyJob], bool]
    act: Act[AnyJob]

    def run(self, arguments: list[str]) -> int:
        """Carry out the command; returns 0 if the run finished or was stopped properly, 1 if it failed."""
        options = options_of(self.command, arguments)
        run = run_of(options.job)
        try:
            job = self.load(options.job, options.settings)
            self._check_safety(job.write.mode, options.settings, run)
        except (ConfigError, RunError) as problem:
            if run is not None and isinstance(problem, ConfigError):
                note_error(run, problem)
            raise
        name = f"{self.name}-{Path(job.dataset.train_data_dir).name}"
        run = run or create_run(options.runs, name, job_to_yaml(job), self.command)
        with only_worker(run):
            status = self._carry_out(job, run)
        return start_again(run) if status is None else status

    def _carry_out(self, job: AnyJob, run: RunFolder) -> int | None:
        """Run ``job``; SIGINT and SIGTERM request a stop, after which the finished results are put in place.

        Returns the exit status, or ``None`` if packages were installed that need a new process.
        """
        stop_on_signals(run)
        with EventWriter(run.events_file) as events:
            reporter = Reporter(events)
            reporter.say(f"The run's folder is {run.path}")
            if add_package(self.packages(job), reporter):
                return None
            if self.downloads(job):
                from ..tagging.download import allow_downloads

                allow_downloads()
            standing = Standing(run.control, reporter)
            return 0 if self.act(job, run, lambda: standing.wait(nullcontext), reporter) else 1

    def _check_safety(self, mode: str, settings: list[str], run: RunFolder | None) -> None:
        """Allow a mode that replaces something for one run only: not from a job file, and not twice."""
        if run is not None:
            if any(event["event"] in ("finished", "stopped") for event in read_events(run.events_file)[0]):
                raise RunError(f"The run {run.id} is over: its {self.things} are {self.written}, and may have been "
                               f"{self.later} since. Start a new one.")
            return
        in_command = any(setting.startswith("write.mode=") for setting in settings)
        if mode not in self.safe_modes and not in_command:
            raise ConfigError(f"write.mode is {mode} in the job file, where it would {self.replace} your "
                              f"{self.things} at every run. Remove it from the file and set it for this run only: "
                              f"write.mode={mode}")


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
