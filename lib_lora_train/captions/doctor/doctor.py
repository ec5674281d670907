"""The doctor: examines a dataset before training and reports problems with their fixes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...config.groups.dataset import DatasetSettings
from ...errors import DatasetError
from ...pictures.buckets import BucketRule
from ...pictures.scan import Dataset, survey
from ..editor.editor import CaptionEditor
from ..editor.index import Entry
from .balance import about_balance
from .captions import about_captions
from .contents import Content, about_contents, contents
from .pictures import about_pictures
from .report import LEVELS, Finding
from .shapes import Crop, ShapeCount, about_shapes, crops, shapes


@dataclass(frozen=True)
class Report:
    """All findings, worst first; the images by bucket; the crop of each image; and what the images show, by tags."""

    pictures: int
    findings: tuple[Finding, ...]
    shapes: tuple[ShapeCount, ...]
    crops: tuple[Crop, ...]
    contents: tuple[Content, ...]
    tokens_exact: bool
    problem: str = ""


def examine(editor: CaptionEditor, settings: DatasetSettings, max_tokens: int,
            progress: Callable[[int, int], bool]) -> Report:
    """Examine every image and caption. ``progress(done, total)`` counts decoded images and returns whether to continue.

    ``settings`` and ``max_tokens`` are those of the planned training.

    Takes about ten milliseconds per image the first time; results are cached. Raises ``DatasetError``.
    """
    editor.refresh()
    editor.read_sizes()
    with editor.lock:
        entries = list(editor.index.entries.values())
    editor.facts.measure([entry.file for entry in entries], progress)
    rule = BucketRule.of(settings)
    dataset, problem = _as_trained(editor, settings)
    trained = _trained(editor, dataset)
    found = about_pictures(editor, dataset, rule, entries, trained)
    with editor.lock:
        numbers = [entry.id for entry in trained if entry.id in editor.index.entries]
        found += about_captions(editor, settings.activation_tag.strip(), max_tokens, numbers)
        found += about_shapes(editor, rule, settings, numbers)
        found += about_balance(editor, dataset)
        shown = contents(editor, numbers)
        found += about_contents(editor, numbers, shown)
        return Report(len(numbers), tuple(sorted(found, key=lambda finding: LEVELS.index(finding.level))),
                      shapes(editor, rule, numbers), crops(editor, rule, numbers), shown, editor.tokens.exact, problem)


def with_findings(report: Report, more: Sequence[Finding]) -> Report:
    """The report with findings from elsewhere, such as those of a run on the dataset."""
    findings = sorted([*report.findings, *more], key=lambda finding: LEVELS.index(finding.level))
    return dataclasses.replace(report, findings=tuple(findings))


def _as_trained(editor: CaptionEditor, settings: DatasetSettings) -> tuple[Dataset | None, str]:
    """The dataset as training would read it, or the reason why training would refuse it."""
    try:
        return survey(dataclasses.replace(settings, train_data_dir=str(editor.folder))), ""
    except DatasetError as problem:
        return None, str(problem)


def _trained(editor: CaptionEditor, dataset: Dataset | None) -> Sequence[Entry]:
    """The images that are trained on; all of them if training would refuse the folder."""
    with editor.lock:
        if dataset is None:
            return [editor.index.entries[number] for number in editor.order()]
        paths = (picture.path.relative_to(editor.folder).as_posix() for picture in dataset.pictures)
        return [entry for path in paths if (entry := editor.index.of_path(path)) is not None]
