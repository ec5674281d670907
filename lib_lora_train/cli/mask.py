"""``mask``: makes masks for the images of a folder."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from ..config.groups.masking import FACE, IF_MISSING, PREVIEW, SUBJECT
from ..config.load import job_to_yaml
from ..config.mask_job import MaskJob, load_mask_job
from ..errors import ConfigError, RunError
from ..runs.events import EventWriter, read_events
from ..runs.folder import MASK, RunFolder, create_run
from ..runs.process import only_worker
from ..runs.standing import Standing
from ..training.reporting.report import Reporter
from .tag import PROVIDER_PACKAGES, add_package, start_again
from .train import note_error, run_of, stop_on_signals
from .usage import options_of


def mask_command(arguments: list[str]) -> int:
    """Make masks; returns 0 if the run finished or was stopped properly, 1 if it failed."""
    options = options_of("mask", arguments)
    run = run_of(options.job)
    try:
        job = load_mask_job(options.job, options.settings)
        _check_safety(job, options.settings, run)
    except (ConfigError, RunError) as problem:
        if run is not None and isinstance(problem, ConfigError):
            note_error(run, problem)
        raise
    name = f"masks-{Path(job.dataset.train_data_dir).name}"
    run = run or create_run(options.runs, name, job_to_yaml(job), MASK)
    with only_worker(run):
        status = carry_out_masking(job, run)
    return start_again(run) if status is None else status


def carry_out_masking(job: MaskJob, run: RunFolder) -> int | None:
    """Make masks in ``run``; SIGINT and SIGTERM request a stop, after which the finished masks are put in place.

    Returns the exit status, or ``None`` if packages were installed that need a new process.
    """
    stop_on_signals(run)
    with EventWriter(run.events_file) as events:
        reporter = Reporter(events)
        reporter.say(f"The run's folder is {run.path}")
        packages = {FACE: "opencv", SUBJECT: PROVIDER_PACKAGES.get(job.mask.provider)}
        if add_package(packages.get(job.mask.method), reporter):
            return None
        if job.mask.download:
            from ..tagging.download import allow_downloads

            allow_downloads()
        from ..tagging.masks.run import run_masking

        standing = Standing(run.control, reporter)
        return 0 if run_masking(job, run.state / "masks", run.control.asked, lambda: standing.wait(nullcontext),
                                reporter) else 1


def _check_safety(job: MaskJob, settings: list[str], run: RunFolder | None) -> None:
    """Allow a mode that replaces masks for one run only: not from a job file, and not twice."""
    if run is not None:
        if any(event["event"] in ("finished", "stopped") for event in read_events(run.events_file)[0]):
            raise RunError(f"The run {run.id} is over: its masks are in place, and may have been painted since. Start "
                           "a new one.")
        return
    in_command = any(setting.startswith("write.mode=") for setting in settings)
    if job.write.mode not in (IF_MISSING, PREVIEW) and not in_command:
        raise ConfigError(f"write.mode is {job.write.mode} in the job file, where it would replace your masks at "
                          f"every run. Leave it out there, and say it for this run: write.mode={job.write.mode}")
