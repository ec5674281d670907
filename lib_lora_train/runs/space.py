"""The disk space of runs, and the deletion of training states that are no longer needed."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import RunError
from ..files.walk import files_below
from ..files.writing import writing
from .folder import RunFolder, all_runs
from .state import AT_WORK, WAITING
from .summary import RunIndex

_LEFTOVER = "state-deleted-"
"""A state whose deletion was interrupted; the next deletion removes it."""


@dataclass(frozen=True)
class RunSpace:
    """The size of a run's folder and of its parts, in bytes; ``kept`` says why its training state cannot be deleted.

    ``ends_resume``: whether the run could not be resumed or given more epochs without its state.
    """

    id: str
    name: str
    bytes: int
    state_bytes: int
    image_bytes: int
    diagnosis_bytes: int
    ends_resume: bool
    kept: str = ""


def space_of(index: RunIndex) -> list[RunSpace]:
    """The space of every run, the largest first. Reads every folder, which can take seconds."""
    found = [_measured(index, run) for run in all_runs(index.runs)]
    return sorted(found, key=lambda one: one.bytes, reverse=True)


def delete_states(index: RunIndex, runs: Sequence[RunFolder]) -> int:
    """Delete the training states of ``runs`` for good; return the freed bytes.

    Raises ``RunError`` if one of the runs is active, or is queued meanwhile, and ``WriteError``; the states of the runs
    before it are deleted then.
    """
    for run in runs:
        kept = _why_kept(index, run)
        if kept:
            raise RunError(f"The training state of {index.of(run).name} stays: {kept}.")
    freed = 0
    for run in runs:
        freed += _delete_state(index, run)
    return freed


def _delete_state(index: RunIndex, run: RunFolder) -> int:
    if run.state.is_symlink():
        raise RunError(f"{run.state} is a link, so nothing in it is deleted. Delete the files there yourself.")
    if run.state.is_dir():
        aside = run.path / f"{_LEFTOVER}{uuid.uuid4().hex[:8]}"
        with writing(run.state):
            run.state.rename(aside)
        kept = _why_kept(index, run)
        if kept:  # resumed meanwhile
            with writing(run.state):
                aside.rename(run.state)
            raise RunError(f"The training state of {index.of(run).name} stays: {kept}.")
    freed = 0
    for folder in run.path.glob(f"{_LEFTOVER}*"):
        freed += size_of(folder)
        with writing(folder):
            shutil.rmtree(folder)
    return freed


def _why_kept(index: RunIndex, run: RunFolder) -> str:
    summary = index.of(run)
    if summary.pid is not None or summary.state in AT_WORK:
        return "the run is active"
    if summary.state == WAITING:
        return "the run is in the queue"
    return ""


def _measured(index: RunIndex, run: RunFolder) -> RunSpace:
    summary = index.of(run)
    state = size_of(run.state) + sum(size_of(folder) for folder in run.path.glob(f"{_LEFTOVER}*"))
    images = sum(size_of(run.path / name) for name in ("samples", "strip", "grids"))
    return RunSpace(run.id, summary.name, size_of(run.path), state, images, size_of(run.path / "diagnosis"),
                    run.state_file.is_file(), _why_kept(index, run))


def size_of(folder: Path) -> int:
    """The bytes of all files below ``folder``."""
    total = 0
    for entry in files_below(folder):
        try:
            total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue  # deleted meanwhile
    return total
