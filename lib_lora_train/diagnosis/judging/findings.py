"""What measurements say: which images and tags are suspicious, and how evenly the set is learned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...runs.diagnosis.records import BalanceFinding, DiagnosisPlan, Findings, Measurement, PlannedImage
from .suspects import image_findings
from .tags import tag_findings

_UNEVEN = 0.5
"""A group that has learned less than this part of what the median group has is named."""


def findings_of(plan: DiagnosisPlan, measurements: Sequence[Measurement]) -> Findings:
    """The findings of all ``measurements`` of a run, in the order of their steps."""
    ordered = sorted(measurements, key=lambda one: one.step)
    return Findings(ordered[-1].step if ordered else 0, image_findings(plan, ordered), tag_findings(plan, ordered),
                    balance_of(plan, ordered), plan.left_out)


def balance_of(plan: DiagnosisPlan, measurements: Sequence[Measurement]) -> tuple[BalanceFinding, ...]:
    """How much of the loss at the beginning is gone at the end, for each concept, bucket and number of repeats."""
    measurements = [one for one in measurements if any(one.loss)]
    if len(measurements) < 2:
        return ()
    learned = {}
    for image in plan.measured:
        before, after = measurements[0].loss[image], measurements[-1].loss[image]
        if before and after:
            learned[image] = 1 - float(np.mean(after)) / float(np.mean(before))
    return (*_of_groups("concept", plan.images, learned, lambda image: image.concept),
            *_of_groups("bucket", plan.images, learned, lambda image: f"{image.bucket[0]} x {image.bucket[1]}"),
            *_of_groups("repeats", plan.images, learned, lambda image: str(image.repeats)))


def _of_groups(kind: str, images: Sequence[PlannedImage], learned: Mapping[int, float],
               name_of: Callable[[PlannedImage], str]) -> list[BalanceFinding]:
    groups: dict[str, list[float]] = defaultdict(list)
    for index, value in learned.items():
        groups[name_of(images[index])].append(value)
    if len(groups) < 2:
        return []
    means = {name: float(np.mean(values)) for name, values in groups.items()}
    usual = float(np.median(list(means.values())))
    found = []
    for name, mean in sorted(means.items(), key=lambda item: item[1]):
        reason = ""
        if mean < _UNEVEN * usual:
            reason = (f"Images of the {kind} {name} have learned {max(0.0, mean):.0%}, where {usual:.0%} is usual in "
                      "this run. Give them more repeats, or add images.")
        found.append(BalanceFinding(kind, name, mean, len(groups[name]), reason))
    return found
