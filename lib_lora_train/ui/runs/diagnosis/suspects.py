"""The suspicious images of a dataset in the last run on it, for the caption editor and its doctor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ....captions.doctor.report import Finding, Fix, Group
from ....captions.editor.editor import CaptionEditor
from ....errors import ConfigError, DatasetError
from ....files.confine import local_path
from ....pictures.problems import count_of
from ....runs.diagnosis.records import FINDINGS_FILE, FOLDER
from ....runs.folder import TRAIN, RunFolder, all_runs
from ....runs.job import settings_of
from ...services import Services
from .answer import relative_path
from .now import is_alone, is_settled
from .read import read_diagnosis
from .routes import now_of

_RUNS_LOOKED_AT = 40


@dataclass(frozen=True)
class Suspect:
    """An image that the last run found suspicious, for which nothing has been done since."""

    number: int
    reason: str


@dataclass(frozen=True)
class Suspects:
    """The suspicious images in the run ``run``, called ``name``, the most suspicious first; both empty without any."""

    run: str = ""
    name: str = ""
    images: tuple[Suspect, ...] = ()


def suspects_in(services: Services, editor: CaptionEditor) -> Suspects:
    """Return the images of ``editor`` with findings in the newest run on its folder that has any diagnosis."""
    for run in _diagnosed(services):
        if not _trained_on(run, editor.folder):
            continue
        found, suspects = read_diagnosis(run), []
        now = now_of(found, editor.folder, settings_of(run))
        ranking = sorted(found.findings.images, key=lambda item: item.rank) if found.findings else []
        for item in ranking:
            entry = editor.index.of_path(relative_path(found.path_of(item.image), editor.folder))
            settled = is_settled(now.get(item.image)) or is_alone(item.copies, now)
            if item.alarm and entry is not None and not settled:
                suspects.append(Suspect(entry.id, item.reason))
        return Suspects(run.id, services.index.of(run).name, tuple(suspects))
    return Suspects()


def finding_of(suspects: Suspects) -> tuple[Finding, ...]:
    """Return the doctor's finding about ``suspects``; empty if there are none."""
    if not suspects.images:
        return ()
    numbers = tuple(suspect.number for suspect in suspects.images)
    text = (f"The diagnosis of the run {suspects.name} found that something is wrong with them. Check image and "
            "caption, retag them, or give them less weight. Runs › Diagnosis shows their curves.")
    groups = tuple(Group(suspect.reason, (suspect.number,)) for suspect in suspects.images)
    show = Fix("Show it" if len(numbers) == 1 else "Show them", "show", numbers)
    return (Finding("suspicious", "warning", f"{count_of(len(numbers), 'image')} suspicious in the last run", text,
                    numbers, (show,), groups),)


def _diagnosed(services: Services) -> list[RunFolder]:
    """The newest training runs that have findings."""
    runs = [run for run in all_runs(services.runs_dir) if (run.path / FOLDER / FINDINGS_FILE).is_file()]
    return [run for run in runs[:_RUNS_LOOKED_AT] if run.command == TRAIN]


def _trained_on(run: RunFolder, folder: Path) -> bool:
    try:
        return local_path(settings_of(run).dataset.train_data_dir).resolve() == folder
    except (ConfigError, DatasetError, OSError):  # nothing is known about such a run
        return False
