"""Builds the page's view of a diagnosis from the files of the run and the dataset as it is now."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from ....runs.diagnosis.records import Findings, ImageFinding, TagFinding
from .now import is_alone
from .read import Diagnosed
from .records import (
    MEASURED,
    BalancePart,
    DiagnosedImage,
    DiagnosedTag,
    Diagnosis,
    ImageDetail,
    ImageNow,
    SuspiciousImage,
    TagEffect,
)

_TINY = 1e-12


def diagnosis_of(found: Diagnosed, folder: Path | None, now: Mapping[int, ImageNow],
                 problems: Sequence[str]) -> Diagnosis:
    """The whole diagnosis. ``folder`` is the dataset's, ``now`` the state of the images with findings, by index."""
    findings = found.findings or Findings(-1)
    suspicions = {finding.image: finding.suspicion for finding in findings.images}
    curves = [[_geometric_mean(row or ()) for row in measurement.loss] for measurement in found.measurements]
    count = max([len(found.plan.images), *map(len, curves)], default=0)
    images = tuple(_image(found, index, folder, suspicions.get(index, 0.0), tuple(
        _rounded(values[index]) if index < len(values) else None for values in curves)) for index in range(count))
    last = found.measurements[-1:]
    left_out = dict.fromkeys([*found.plan.left_out, *itertools.chain(*(one.left_out for one in last)),
                              *findings.left_out])
    return Diagnosis(
        MEASURED, "" if folder is None else str(folder), tuple(problems), tuple(left_out),
        tuple(measurement.step for measurement in found.measurements),
        tuple(measurement.epoch for measurement in found.measurements),
        round(sum(measurement.seconds for measurement in found.measurements), 1),
        tuple(_rounded(_median(values)) for values in curves), images, _tags(found, findings),
        tuple(_finding(item, now) for item in findings.images),
        tuple(BalancePart(part.kind, part.name, round(part.learned, 4), part.images, part.reason)
              for part in findings.balance), None if found.findings is None else findings.step)


def detail_of(found: Diagnosed, index: int) -> ImageDetail:
    """More about one image, from the last measurement that has it."""
    empty = tuple(_rounded(_geometric_mean(_row(measurement.empty, index))) for measurement in found.measurements)
    backwards = tuple(reversed(found.measurements))
    last = next((row for measurement in backwards if (row := _row(measurement.loss, index))), ())
    effects = next((pairs for measurement in backwards if (pairs := [
        pair for pair in measurement.tags if pair.image == index])), [])
    caption = found.plan.images[index].caption if index < len(found.plan.images) else ""
    return ImageDetail(index, caption, empty if any(value is not None for value in empty) else (),
                       found.plan.timesteps, tuple(round(value, 6) for value in last),
                       tuple(TagEffect(pair.tag, pair.own, pair.other) for pair in effects))


def relative_path(path: str, folder: Path | None) -> str:
    """``path`` relative to ``folder`` with ``/``; empty if it is not inside by name."""
    if folder is None or not path:
        return ""
    given = Path(path)
    inside = given.is_relative_to(folder) and ".." not in given.parts
    return given.relative_to(folder).as_posix() if inside else ""


def _image(found: Diagnosed, index: int, folder: Path | None, suspicion: float,
           curve: tuple[float | None, ...]) -> DiagnosedImage:
    planned = found.plan.images[index] if index < len(found.plan.images) else None
    if planned is None:
        return DiagnosedImage(index, "", f"Image {index + 1}", "", None, 1, round(suspicion, 4), curve)
    return DiagnosedImage(index, relative_path(planned.path, folder), Path(planned.path).name, planned.concept,
                          planned.bucket, planned.repeats, round(suspicion, 4), curve)


def _tags(found: Diagnosed, findings: Findings) -> tuple[DiagnosedTag, ...]:
    """Every tag that was measured or found suspicious, the most suspicious first."""
    effects: dict[str, list[list[float]]] = defaultdict(lambda: [[] for _ in found.measurements])
    images: dict[str, set[int]] = defaultdict(set)
    for place, measurement in enumerate(found.measurements):
        for pair in measurement.tags:
            effects[pair.tag][place].append(pair.other / max(pair.own, _TINY) - 1)
            images[pair.tag].add(pair.image)
    known = {finding.tag: finding for finding in findings.tags}
    tags = [_tag(tag, known.get(tag), images[tag], effects[tag]) for tag in {**known, **effects}]
    return tuple(sorted(tags, key=lambda tag: (-tag.suspicion, _last(tag.curve), tag.tag)))


def _tag(tag: str, finding: TagFinding | None, images: set[int], effects: Sequence[Sequence[float]]) -> DiagnosedTag:
    curve = tuple(_rounded(statistics.fmean(values)) if values else None for values in effects)
    if finding is None:
        return DiagnosedTag(tag, tuple(sorted(images)), 0.0, False, "", curve)
    return DiagnosedTag(tag, finding.images or tuple(sorted(images)), round(finding.suspicion, 4), finding.alarm,
                        finding.reason, curve)


def _finding(item: ImageFinding, now: Mapping[int, ImageNow]) -> SuspiciousImage:
    reason = f"{item.reason} The others have been left out since." if is_alone(item.copies, now) else item.reason
    return SuspiciousImage(item.image, item.rank, round(item.suspicion, 4), item.kind, reason, item.alarm,
                           item.others, item.ways, now.get(item.image))


def _row(rows: Sequence[tuple[float, ...] | None], index: int) -> tuple[float, ...]:
    return (rows[index] or ()) if index < len(rows) else ()


def _geometric_mean(values: Sequence[float]) -> float | None:
    """The mean over timesteps in which each counts the same, whatever its noise level does to the loss."""
    return math.exp(statistics.fmean(math.log(max(value, _TINY)) for value in values)) if values else None


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _last(curve: Sequence[float | None]) -> float:
    return next((value for value in reversed(curve) if value is not None), 0.0)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
