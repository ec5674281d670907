"""``knows``: checks what a checkpoint knows of a set before training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..config.groups.knows import KnowsJob, knows_problems_of
from ..config.load import job_to_yaml, load_values, read_settings
from ..config.taggers import find_tagger, where_it_belongs
from ..errors import ConfigError, TaggerError
from ..pictures.images import open_picture
from ..runs.events import EventWriter
from ..runs.folder import KNOWS, RunFolder, create_run
from ..runs.process import only_worker
from ..training.reporting.report import Reporter
from .complete import complete
from .folder_run import PROVIDER_PACKAGES, add_package, start_again
from .train import note_error, run_of, stop_on_signals
from .usage import options_of

if TYPE_CHECKING:
    from ..diagnosis.verdicts import Tagged


def knows_command(arguments: list[str]) -> int:
    """Check; returns 0 if the run finished or was stopped properly, 1 if it failed."""
    options = options_of(KNOWS, arguments)
    run = run_of(options.job)
    try:
        job = load_knows_job(options.job, options.settings)
    except ConfigError as problem:
        if run is not None:
            note_error(run, problem)
        raise
    run = run or create_run(options.runs, f"knows-{Path(job.dataset.train_data_dir).name}", job_to_yaml(job), KNOWS)
    with only_worker(run):
        status = _carry_out(job, run)
    return start_again(run) if status is None else status


def load_knows_job(path: Path, overrides: Sequence[str] = ()) -> KnowsJob:
    """Read the job file ``path``; each of ``overrides`` is ``group.name=value``. The groups of a training job that a
    check does not use are ignored, so that the job of a run can be given as it is.

    Raises ``ConfigError`` that lists every problem.
    """
    values = load_values(path, overrides, KnowsJob)
    complete(values)
    unused = ("network", "optimizer", "scheduler", "loss", "save", "sample", "diagnosis")
    job, problems = read_settings(KnowsJob, {group: content for group, content in values.items()
                                             if group not in unused}, source=str(path))
    problems = problems or knows_problems_of(job)
    if problems:
        raise ConfigError(problems)
    return job


def _carry_out(job: KnowsJob, run: RunFolder) -> int | None:
    """Run ``job``; returns the exit status, or ``None`` if packages were installed that need a new process."""
    from ..environment.light_imports import import_lightly

    import_lightly()
    from ..diagnosis.knows import run_check

    stop_on_signals(run)
    with EventWriter(run.events_file) as events:
        reporter = Reporter(events)
        reporter.say(f"The run's folder is {run.path}")
        if job.tagger.model and add_package(PROVIDER_PACKAGES.get(job.tagger.provider), reporter):
            return None
        return 0 if run_check(job, run, reporter, _tagger(job, reporter)) else 1


def _tagger(job: KnowsJob, reporter: Reporter) -> Callable[[Sequence[Path], Callable[[int, int], None]], Tagged] | None:
    """The tagger of ``job``; ``None``, with a warning, if it is not installed."""
    if not job.tagger.model.strip() or not job.knows.images_per_word:
        return None
    models_dir = Path(job.tagger.models_dir or "models/TrainLora/taggers").expanduser().absolute()
    try:
        files = find_tagger(models_dir, job.tagger.model)
        problem = where_it_belongs(models_dir, job.tagger.model)
    except TaggerError as error:
        files, problem = None, str(error)
    if files is None:
        reporter.warning(f"Without a tagger, only the loss and your eyes tell what the base knows. {problem}")
        return None

    def tag(images: Sequence[Path], progress: Callable[[int, int], None]) -> Tagged:
        from ..diagnosis.verdicts import Tagged
        from ..tagging.choose import spelled
        from ..tagging.session import Tagger

        tagger = Tagger(files, job.tagger, reporter.warning)
        rows = []
        for start in range(0, len(images), tagger.batch_size):
            batch = [tagger.prepare(open_picture(path)) for path in images[start:start + tagger.batch_size]]
            rows.append(tagger.confidences(batch))
            progress(start + len(batch), len(images))
        listed = tagger.tag_list
        told = np.concatenate([listed.general, listed.named])
        return Tagged(tuple(spelled(listed.tags[place], True) for place in told), np.concatenate(rows)[:, told])

    return tag
