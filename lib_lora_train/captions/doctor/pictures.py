"""The doctor's check of images: skipped, damaged, near-duplicate, too small, blurred, upper-case extensions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...pictures.buckets import BucketRule
from ...pictures.duplicates.find import copies_among
from ...pictures.duplicates.small import small_from
from ...pictures.folders import REGULARIZATION_FOLDER, LeftOut
from ...pictures.problems import count_of
from ...pictures.scan import Dataset
from ..editor.editor import CaptionEditor
from ..editor.index import Entry
from .report import Finding, Fix, Group, picture_finding

BLURRED_BELOW = 0.08
BORDER_FROM = 0.02
"""The share of an image from which bars are worth trimming."""
ENLARGED_MUCH = 1.5
_LEAST_SHARE_OF_SIZE = 0.5
"""The smallest usable share of a model's native resolution: 256 px for SD 1.x, 512 px for SDXL."""


def about_pictures(editor: CaptionEditor, dataset: Dataset | None, rule: BucketRule, entries: Sequence[Entry],
                   trained: Sequence[Entry]) -> list[Finding]:
    """All findings on images: ``entries`` are all images of the editor, ``trained`` those that are trained on."""
    return [*_left_out(editor, dataset), *_damaged(editor, entries), *_duplicates(editor, trained),
            *_small(trained, rule), *_blurred(editor, trained), *_bordered(editor, trained), *_capital_endings(entries)]


def _left_out(editor: CaptionEditor, dataset: Dataset | None) -> list[Finding]:
    items = [*(dataset.left_out if dataset is not None else ()), *editor.left_out]
    lost = sum(item.pictures for item in items)
    files = tuple(sorted({(_relative(item.path, editor.folder), _words(item)) for item in items}))
    if not files:
        return []
    fixes = tuple(Fix(f"Rename {item.path.name} to 1_{item.path.name}", "rename-folder", (),
                       {"folder": _relative(item.path, editor.folder), "name": f"1_{item.path.name}"})
                  for item in items if _lacks_repeats(item))
    level = "warning" if lost else "note"
    return [Finding("left-out", level, f"{count_of(lost, 'image')} left out" if lost else "Files that are not used",
                    "The training passes these by. Other trainers do so without a word, and count wrong steps then.",
                    fixes=fixes, files=files)]


def _lacks_repeats(item: LeftOut) -> bool:
    return item.pictures > 0 and item.path.is_dir() and "number of repeats" in item.reason \
        and item.path.name.lower() != REGULARIZATION_FOLDER


def _words(item: LeftOut) -> str:
    return item.reason if item.pictures < 2 else f"{item.reason} ({item.pictures} images)"


def _damaged(editor: CaptionEditor, entries: Sequence[Entry]) -> list[Finding]:
    broken = []
    for entry in entries:
        header, marks = editor.facts.header(entry.file), editor.facts.marks(entry.file)
        reason = (header.reason if header is not None else "") or (marks.reason if marks is not None else "")
        if reason:
            broken.append((entry, reason))
    found = picture_finding("damaged", "error", f"{count_of(len(broken), 'image')} cannot be decoded",
                            "Save them again from the original, or delete them. What is deleted goes to the trash "
                            "folder and comes back with undo.",
                            [entry.id for entry, _ in broken], Fix("Delete them", "delete"))
    return [Finding(item.id, item.level, item.title, item.text, item.numbers, item.fixes,
                    files=tuple((entry.path, reason) for entry, reason in broken)) for item in found]


def _duplicates(editor: CaptionEditor, entries: Sequence[Entry]) -> list[Finding]:
    measured = [(entry, small_from(marks.small)) for entry in entries
                if (marks := editor.facts.marks(entry.file)) is not None and not marks.reason]
    if len(measured) < 2:
        return []
    groups = []
    for places in copies_among(np.stack([small for _, small in measured]),
                               lambda place: editor.facts.fine(measured[place][0].file)).certain:
        alike = sorted((measured[place][0] for place in places),
                       key=lambda entry: (-entry.width * entry.height, -entry.file.size, entry.path))
        rest = tuple(entry.id for entry in alike[1:])
        groups.append(Group(f"{alike[0].name} ({alike[0].width}x{alike[0].height}) is the largest of {len(alike)}.",
                            tuple(entry.id for entry in alike), (Fix("Delete the others", "delete", rest),)))
    if not groups:
        return []
    spare = tuple(number for group in groups for fix in group.fixes for number in fix.numbers)
    return [Finding("duplicates", "warning", f"{count_of(len(groups), 'group')} of images that are nearly the same",
                    "What is seen more often weighs more, and its details are learned as if they always belonged "
                    "there. Keep the best of each, unless the difference is what you want to teach.",
                    tuple(number for group in groups for number in group.numbers),
                    (Fix("Keep the largest of each", "delete", spare),), tuple(groups))]


def _small(entries: Sequence[Entry], rule: BucketRule) -> list[Finding]:
    small = []
    for entry in entries:
        if entry.width:
            fit = rule.fit(entry.width, entry.height)
            if fit.resized_width > ENLARGED_MUCH * entry.width:
                small.append(entry)
    size = f"{rule.width}x{rule.height}"
    fix = Fix("Delete them", "delete")
    side = _side_of(small) if small else 0
    if 2 * len(small) > len(entries) and side >= _LEAST_SHARE_OF_SIZE * math.sqrt(rule.width * rule.height):
        fix = Fix(f"Train at {side}", "settings", (0,), {"dataset.resolution": str(side)})
    return picture_finding("small", "warning", f"{count_of(len(small), 'image')} much smaller than {size}",
                           "They are enlarged for training, and the blur is learned with them. Find larger copies, "
                           "upscale them (Files below the grid), or leave them out.",
                           [entry.id for entry in small], fix)


def _side_of(entries: Sequence[Entry]) -> int:
    """The side in pixels of a square with the median area of ``entries``, rounded down to a multiple of 64."""
    side = statistics.median(math.sqrt(entry.width * entry.height) for entry in entries)
    return 64 * int(side // 64)


def _blurred(editor: CaptionEditor, entries: Sequence[Entry]) -> list[Finding]:
    blurred = [(marks.sharpness, entry) for entry in entries
               if (marks := editor.facts.marks(entry.file)) is not None and not marks.reason
               and marks.sharpness < BLURRED_BELOW]
    return picture_finding("blurred", "warning", f"{count_of(len(blurred), 'image')} may be blurred",
                           "No edge in them is sharp. Leave blurry images out unless there are no others; "
                           "look at them, since soft drawings look the same to a program.",
                           [entry.id for _, entry in sorted(blurred, key=lambda item: (item[0], item[1].path))],
                           Fix("Delete them", "delete"))


def _bordered(editor: CaptionEditor, entries: Sequence[Entry]) -> list[Finding]:
    bordered = [(marks.border, entry) for entry in entries
                if (marks := editor.facts.marks(entry.file)) is not None and marks.border >= BORDER_FROM]
    return picture_finding("borders", "warning", f"{count_of(len(bordered), 'image')} with bars or a plain frame",
                           "Bars and frames are learned with the subject. Press Show, then Crop below the grid, and "
                           "choose bars and borders.",
                           [entry.id for _, entry in sorted(bordered, key=lambda item: (-item[0], item[1].path))])


def _capital_endings(entries: Sequence[Entry]) -> list[Finding]:
    capital = [entry.id for entry in entries if Path(entry.name).suffix != _ending(entry)]
    return picture_finding("capitals", "note", f"{count_of(len(capital), 'image')} with an ending in capitals",
                           "They are trained on here; other trainers pass by .PNG and .JPG on Linux.",
                           capital, Fix("Write the endings in small letters", "lower-case"))


def _ending(entry: Entry) -> str:
    return Path(entry.name).suffix.lower()


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
