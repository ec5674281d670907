"""Reads what there is of a run's diagnosis: a file that is damaged does not hide the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ....files.json_file import DamagedFileError
from ....files.reading import reason
from ....runs.diagnosis.records import (
    FINDINGS_FILE,
    FOLDER,
    MEASUREMENTS_FILE,
    PLAN_FILE,
    DiagnosisPlan,
    Findings,
    Measurement,
    read_findings,
    read_measurements,
    read_plan,
)
from ....runs.folder import RunFolder

_Read = TypeVar("_Read")
_NOTHING = DiagnosisPlan("", (), ())


@dataclass(frozen=True)
class Diagnosed:
    """The files of a diagnosis; what is missing is empty, or ``None`` for the findings.

    ``problems`` are sentences about files that cannot be used.
    """

    plan: DiagnosisPlan
    measurements: tuple[Measurement, ...]
    findings: Findings | None
    problems: tuple[str, ...]

    @property
    def begun(self) -> bool:
        """Whether anything has been written, damaged or not."""
        return self.plan is not _NOTHING or bool(self.measurements or self.problems)

    def path_of(self, index: int) -> str:
        """The path of an image as the run had it; empty if the plan does not name it."""
        return self.plan.images[index].path if 0 <= index < len(self.plan.images) else ""


def read_diagnosis(run: RunFolder) -> Diagnosed:
    """Read the diagnosis of ``run``."""
    folder = run.path / FOLDER
    problems: list[str] = []
    plan = _read(folder, PLAN_FILE, read_plan, problems)
    measurements = tuple(_read(folder, MEASUREMENTS_FILE, read_measurements, problems) or ())
    findings = _read(folder, FINDINGS_FILE, read_findings, problems)
    if plan is None and not problems and (measurements or findings):
        problems.append(f"{PLAN_FILE} of the diagnosis is missing, so images have no names here.")
    if not measurements and not problems and _has_content(folder / MEASUREMENTS_FILE):
        problems.append(f"{MEASUREMENTS_FILE} of the diagnosis cannot be read: no line of it is a measurement.")
    return Diagnosed(plan or _NOTHING, measurements, findings, tuple(problems))


def _read(folder: Path, name: str, read: Callable[[Path], _Read], problems: list[str]) -> _Read | None:
    try:
        return read(folder)
    except OSError as problem:
        problems.append(f"{name} of the diagnosis cannot be read: {reason(problem)}.")
    except DamagedFileError as problem:
        problems.append(f"{name} of the diagnosis is damaged: {problem}.")
    return None


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
