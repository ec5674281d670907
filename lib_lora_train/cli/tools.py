"""``extract``, ``merge``, ``mix``, ``resize``: runs a tool in a run folder."""

from __future__ import annotations

import json
import logging
import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.groups.tools import ExtractJob, MergeJob, MixJob, ResizeJob
from ..config.tool_jobs import ToolJob, load_tool_job, tool_job_yaml
from ..errors import ConfigError, RunError, TrainLoraError
from ..files.atomic import write_atomically
from ..runs.events import EventWriter
from ..runs.folder import RESULT_FILE, RunFolder, create_run
from ..runs.process import only_worker
from ..training.reporting.report import Reporter
from .train import note_error, run_of, stop_on_signals
from .usage import options_of

if TYPE_CHECKING:
    from ..tools.work import Work

_STOPPED = 130  # the shell's exit status after Ctrl+C


def tool_command(command: str, arguments: list[str]) -> int:
    """Run ``command``; returns 0 on success, with the output file as last line on standard output, or 130 if stopped.

    Raises ``TrainLoraError`` on failure, which is also written to the run's log.
    """
    options = options_of(command, arguments)
    job, run = job_and_run(command, options)
    if run is None:
        name = getattr(job, "output_name", "") or "curve"
        run = create_run(options.runs, f"{command}-{name}", tool_job_yaml(job), command)
    with only_worker(run):
        return _in_run(job, run)


def job_and_run(command: str, options: Namespace) -> tuple[ToolJob, RunFolder | None]:
    """Return the job for ``options``, and the run folder of its file, if it has one.

    Raises ``ConfigError`` if the job is invalid, which is also written to the run's log.
    """
    run = None if options.job is None else run_of(options.job)
    try:
        return load_tool_job(command, options.job, options.settings), run
    except ConfigError as problem:
        if run is not None:
            note_error(run, problem)
        raise


def _in_run(job: ToolJob, run: RunFolder) -> int:
    from ..tools.work import Stopped

    stop_on_signals(run)
    started = time.monotonic()
    with EventWriter(run.events_file) as events:
        reporter = Reporter(events, stream=sys.stderr)
        reporter.say(f"The run's folder is {run.path}")
        try:
            path = carry_out_tool(job, _work(run, reporter))
        except Stopped:
            reporter.close()
            reporter.event("stopped", {"steps": 0, "seconds": time.monotonic() - started})
            reporter.say("Stopped. Nothing was saved.")
            return _STOPPED
        except Exception as problem:  # whatever it is, the run's log must record the end of the run
            reporter.close()
            error = _in_words(problem)
            reporter.event("error", {"text": str(error), "detail": type(problem).__name__})
            raise error from problem
        reporter.close()
        if path is not None:
            reporter.saved(path, step=0, epoch=0, final=True)
        reporter.event("finished", {"steps": 0, "seconds": time.monotonic() - started})
    if path is not None:
        print(path, flush=True)
    return 0


def _in_words(problem: Exception) -> TrainLoraError:
    """Return ``problem`` as an error with a sentence for the user."""
    if isinstance(problem, TrainLoraError):
        return problem
    if isinstance(problem, MemoryError) or "out of memory" in str(problem).lower() \
            or "can't allocate memory" in str(problem):
        return RunError("There was not enough memory for the largest layer. Close other programs; on a GPU, use "
                        "device=cpu.")
    logging.getLogger(__name__).error("The tool failed", exc_info=problem)
    return RunError(f"The tool failed with {type(problem).__name__}: {problem}. The log has the details; please report "
                    "it with them.")


def carry_out_tool(job: ToolJob, work: Work) -> Path | None:
    """Run ``job``; returns the output file, or ``None`` if only the curve was requested.

    Raises ``TrainLoraError``, or ``Stopped``.
    """
    if isinstance(job, ExtractJob):
        from ..tools.extract import extract
        return extract(job, work)
    if isinstance(job, MergeJob):
        from ..tools.checkpoint_merge import merge
        return merge(job, work)
    if isinstance(job, MixJob):
        from ..tools.mix import mix
        return mix(job, work)
    if isinstance(job, ResizeJob):
        from ..tools.resize import resize
        return resize(job, work)
    raise TypeError(job)


def _work(run: RunFolder, reporter: Reporter) -> Work:
    from ..tools.work import Work

    def result(values: Mapping[str, Any]) -> None:
        write_result(run, values)
        reporter.event("result", {"path": RESULT_FILE})

    return Work(reporter, lambda: run.control.asked("stop"), result, run.path)


def write_result(run: RunFolder, values: Mapping[str, Any]) -> None:
    """Write a tool's results into the run folder. Raises ``WriteError``."""
    write_atomically(run.result_file, json.dumps(values, ensure_ascii=False, indent=1))
