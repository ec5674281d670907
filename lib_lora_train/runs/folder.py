"""The run folder: everything about a run, for anyone who finds it later.

    job.yaml        what was asked        events.jsonl    what happened
    control/        pause, stop           log.txt         the worker's output
    process.json    the worker's process  samples/ state/ tensorboard/
    worker.lock     held by the worker for as long as it lives
    command         tag, bake, extract …, where the run is no training
    factors.*       what a curve was calculated from, for the extraction that follows
    result.json     what a tool found: size and error for each rank, or what is in a LoRA file
    changes.yaml    overrides of job.yaml since the run was continued with more epochs or another rate
    strip.json      the test strip that the webui draws, and strip/ with its pictures
    note.json       the user's name for the run, a star and a note
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import RunError
from ..files.atomic import write_atomically
from ..files.confine import open_file
from ..files.reading import read_text
from ..files.writing import cannot_write
from .control import RunControl
from .events import EVENTS_FILE

JOB_FILE = "job.yaml"
CHANGES_FILE = "changes.yaml"
STATE_FILE = "last.pt"
STRIP_FILE = "strip.json"
RESULT_FILE = "result.json"
TRAIN, TAG, BAKE, TEST = "train", "tag", "bake", "test"
EXTRACT, MERGE, MIX, RESIZE, INSPECT = "extract", "merge", "mix", "resize", "inspect"
TOOLS = (EXTRACT, MERGE, MIX, RESIZE, INSPECT)
_COMMAND_FILE = "command"
_LONGEST_COMMAND_BYTES = 1000


class RunFolder:
    """Paths and small files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.job_file = path / JOB_FILE
        self.events_file = path / EVENTS_FILE
        self.log_file = path / "log.txt"
        self.process_file = path / "process.json"
        self.lock_file = path / "worker.lock"
        self.samples = path / "samples"
        self.state = path / "state"
        self.result_file = path / RESULT_FILE
        self.state_file = self.state / STATE_FILE
        self.control = RunControl(path / "control")

    @property
    def id(self) -> str:
        """The folder's name, which identifies the run everywhere."""
        return self.path.name

    @property
    def changes_file(self) -> Path | None:
        """The partial job that overrides ``job_file``; ``None`` if there is none."""
        path = self.path / CHANGES_FILE
        return path if path.is_file() else None

    @property
    def command(self) -> str:
        """The worker's command for the run: ``train``, ``tag``, ``bake`` or one of ``TOOLS``.

        ``test`` marks the folder of a LoRA that was only opened in Test.
        """
        try:
            return read_text(self.path / _COMMAND_FILE, replace=True, most_bytes=_LONGEST_COMMAND_BYTES).strip()
        except (OSError, ValueError):  # there is none, or the summary says what is wrong with it
            return TRAIN

    def log_tail(self, bytes_at_most: int = 8000) -> str:
        """The end of the worker's output; empty if there is none yet."""
        try:
            with open_file(self.log_file) as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - bytes_at_most))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(line.rsplit("\r", 1)[-1] for line in text.split("\n"))


def create_run(runs: Path, name: str, job_yaml: str, command: str = TRAIN) -> RunFolder:
    """Make ``<runs>/<date-time>-<name>/`` with the job file of a run that ``command`` carries out.

    Raises ``RunError`` if it cannot be written.
    """
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{re.sub(r'[^0-9A-Za-z._-]+', '_', name)[:60] or 'run'}"
    for attempt in range(1000):
        path = runs / (stem if attempt == 0 else f"{stem}-{attempt + 1}")
        try:
            path.mkdir(parents=True, exist_ok=False)
            (path / "control").mkdir()
            if command != TRAIN:
                write_atomically(path / _COMMAND_FILE, command)
            write_atomically(path / JOB_FILE, job_yaml)
        except FileExistsError:
            continue
        except OSError as problem:
            raise RunError(f"The run folder cannot be made. {cannot_write(path, problem)}") from problem
        return RunFolder(path)
    raise RunError(f"There are too many runs named {stem} in {runs}.")


def open_run(runs: Path, run_id: str) -> RunFolder:
    """The run called ``run_id``. Raises ``RunError`` if there is none, or the name leaves ``runs``."""
    path = runs / run_id
    if path.parent != runs or run_id in ("", ".", "..") or not (path / JOB_FILE).is_file():
        raise RunError(f"There is no run {run_id!r} in {runs}.")
    return RunFolder(path)


def all_runs(runs: Path) -> Iterator[RunFolder]:
    """Every run in ``runs``, the newest first."""
    if not runs.is_dir():
        return
    for path in sorted(runs.iterdir(), key=lambda item: item.name, reverse=True):
        if (path / JOB_FILE).is_file():
            yield RunFolder(path)
