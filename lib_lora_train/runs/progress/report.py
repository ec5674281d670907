"""The report at the end of a training run: what was made, how long each phase took, warnings and disk use."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config.job import Job
from ...files.walk import files_below
from ..diagnosis.which_epoch import which_epoch
from ..folder import RunFolder
from .clock import LABELS, PhaseClock


@dataclass(frozen=True)
class MadeFile:
    """A LoRA file that the run saved; ``bytes`` is ``None`` if it is no longer there."""

    name: str
    path: str
    epoch: int
    step: int
    bytes: int | None


@dataclass(frozen=True)
class PhaseTime:
    """What a kind of phase took in all, without holds."""

    label: str
    seconds: float


@dataclass(frozen=True)
class RunReport:
    """``best`` names the proposed file, empty if none was measured; ``best_reason`` says why.

    ``files_bytes`` are those of the saved files, ``folder_bytes`` those of the run's folder, ``free_bytes`` those left
    on the disk of the saved files, ``None`` if unknown. ``phases`` begin with the longest.
    """

    files: tuple[MadeFile, ...]
    best: str
    best_reason: str
    warnings: tuple[str, ...]
    phases: tuple[PhaseTime, ...]
    files_bytes: int
    folder_bytes: int
    free_bytes: int | None


def report_of(run: RunFolder, events: Sequence[Mapping[str, Any]], job: Job) -> RunReport:
    """The report of ``run`` from all its ``events``."""
    clock = PhaseClock()
    for event in events:
        clock.take(event)
    saved = {event["path"]: event for event in events if event["event"] == "saved"}
    files = tuple(MadeFile(event["name"], path, int(event["epoch"]), int(event["step"]), _size(Path(path)))
                  for path, event in saved.items())
    found = which_epoch(run.path, events, job)
    warnings = dict.fromkeys(str(event.get("text") or "") for event in events if event["event"] == "warning")
    phases = sorted((PhaseTime(LABELS[kind], round(seconds, 1)) for kind, seconds in clock.seconds.items()),
                    key=lambda phase: -phase.seconds)
    return RunReport(files, found.name, found.reason if found.name else "", tuple(filter(None, warnings)),
                     tuple(phase for phase in phases if phase.seconds >= 1) or tuple(phases[:1]),
                     sum(file.bytes or 0 for file in files), folder_bytes(run.path),
                     _free(Path(files[-1].path).parent if files else run.path))


def folder_bytes(folder: Path) -> int:
    """The size of all files below ``folder``."""
    return sum(_size(Path(entry.path)) or 0 for entry in files_below(folder))


def lines_of(report: RunReport) -> list[str]:
    """The report as lines for the log."""
    lines = [f"Made: {file.name} (epoch {file.epoch}, {_megabytes(file.bytes)})" for file in report.files]
    if report.best:
        lines.append(f"Best epoch: {report.best}. {report.best_reason}")
    if report.warnings:
        lines.append(f"Warnings: {len(report.warnings)}, see above")
    lines.append("Time: " + ", ".join(f"{phase.label} {_duration(phase.seconds)}" for phase in report.phases))
    free = "" if report.free_bytes is None else f", {report.free_bytes / 1e9:.1f} GB free"
    folder = _megabytes(report.folder_bytes)
    lines.append(f"Disk: {_megabytes(report.files_bytes)} of LoRA files, {folder} in the folder of the run{free}")
    return lines


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _megabytes(size: int | None) -> str:
    return "no longer there" if size is None else f"{size / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
