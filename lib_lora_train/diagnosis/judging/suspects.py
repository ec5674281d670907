"""Suspicious images: of another thing, with another image's caption, near-duplicates, and those hardly learned."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from ...runs.diagnosis.records import (
    CAPTION,
    DUPLICATE,
    HARD,
    LEAVE_OUT,
    LOOK,
    OTHER,
    RETAG,
    WEIGHT,
    DiagnosisPlan,
    ImageFinding,
    Measurement,
)
from .captions import caption_gaps
from .captions_by_looks import Doubt, doubts_of
from .robust import deviations, extreme_of, limit_of, medians, suspicion_of

_MOST_FINDINGS = 50
_FURTHER = 0.5
"""The weight of what training shows beside the distance: small sets move it about."""
_OF_LOSSES, _MOST_OF_LOSSES = 0.25, 2.0
"""The weight, and the most, of losses with other captions beside what an image looks like: they depend on the noise."""
_TYPICAL = 0.1
"""A caption that suits an image no better than this share of wrong ones is an alarm, if right ones suit better."""
_UNKNOWN_LIKENESS = 1.75
"""Of groups in a plan of an earlier version: near-duplicates in general."""


@dataclass(frozen=True)
class Signals:
    """How many standard deviations each image is beyond the median of the set, by kind of measurement.

    ``distance``: from its nearest neighbours. ``unlearned``: how little of its loss has gone. ``opposed``: how little
    its gradient agrees. ``mismatched``: how little its own caption lowers the loss, compared with others (``gaps``).
    ``unexpected``: how little it looks as the captions of the others let one expect (``doubts``). ``hard``: its loss.
    """

    distance: Mapping[int, float]
    unlearned: Mapping[int, float]
    opposed: Mapping[int, float]
    mismatched: Mapping[int, float]
    hard: Mapping[int, float]
    gaps: Mapping[int, float]
    unexpected: Mapping[int, float]
    doubts: Mapping[int, Doubt]

    def caption(self, image: int, limit: float) -> float:
        """How much speaks for a caption that is not the image's own: an alarm above 1.

        It is ``limit`` deviations away from what is usual, or like wrong captions and further away than right ones
        are by chance. That counts by how well right and wrong captions can be told apart.
        """
        mismatched, doubt = self.mismatched.get(image, 0.0), self.doubts.get(image)
        if doubt is None:
            return mismatched / limit if self.gaps.get(image, 0.0) <= 0 else 0.0
        if doubt.odds <= 0:
            return 0.0
        value = self.unexpected[image] + _OF_LOSSES * min(max(0.0, mismatched), _MOST_OF_LOSSES)
        value *= doubt.separation
        return max(value / limit, min(value / extreme_of(len(self.doubts)), doubt.as_wrong / _TYPICAL))

    def other(self, image: int) -> float:
        """How much speaks for an image of another thing."""
        further = max(0.0, self.unlearned.get(image, 0.0)) + max(0.0, self.opposed.get(image, 0.0))
        return self.distance.get(image, 0.0) + _FURTHER * further


def signals_of(plan: DiagnosisPlan, measurements: Sequence[Measurement]) -> Signals:
    """The signals of all ``measurements``, which are in the order of their steps."""
    distance: dict[int, list[float]] = defaultdict(list)
    agreement: dict[int, list[float]] = defaultdict(list)
    for one in measurements:
        for values, found in ((one.distance, distance), (one.agreement, agreement)):
            for image, value in enumerate(values):
                if value is not None:
                    found[image].append(value)
    gaps = caption_gaps(plan, measurements)
    doubts = doubts_of(plan, measurements)
    return Signals(deviations({image: math.log(max(value, 1e-6)) for image, value in medians(distance).items()}),
                   _negative(deviations(_learned(measurements))), _negative(deviations(medians(agreement))),
                   _negative(deviations(gaps)), deviations(_last_losses(measurements)), gaps,
                   deviations({image: doubt.odds for image, doubt in doubts.items()}), doubts)


def image_findings(plan: DiagnosisPlan, measurements: Sequence[Measurement]) -> tuple[ImageFinding, ...]:
    """The suspicious images, most suspicious first: one finding for each, of the kind that speaks loudest."""
    signals = signals_of(plan, measurements)
    limit = limit_of(len(plan.images))
    found: dict[int, ImageFinding] = {}
    for image in plan.images:
        for finding in (_other(image.index, signals, limit), _caption(image.index, signals, limit),
                        _hard(image.index, signals, limit)):
            before = found.get(image.index)
            if finding.suspicion > 0 and (before is None or finding.suspicion > before.suspicion):
                found[image.index] = finding
    for place, group in enumerate(plan.duplicates):
        finding = _duplicate(plan, group, plan.likeness[place] if place < len(plan.likeness) else _UNKNOWN_LIKENESS,
                             {image: found[image].suspicion for image in group if image in found})
        found[finding.image] = finding
    ordered = sorted(found.values(), key=lambda one: (-one.suspicion, one.image))[:_MOST_FINDINGS]
    return tuple(ImageFinding(one.image, rank, round(one.suspicion, 4), one.kind, one.reason, one.alarm, one.others,
                              one.ways) for rank, one in enumerate(ordered, start=1))


def _other(image: int, signals: Signals, limit: float) -> ImageFinding:
    value = signals.other(image)
    reason = "The model sees something else in it than in the other images"
    if signals.unlearned.get(image, 0.0) > limit / 2:
        reason += ", and its loss falls less than theirs"
    if signals.opposed.get(image, 0.0) > limit / 2:
        reason += ", and it pulls the LoRA in another direction"
    return ImageFinding(image, 0, suspicion_of(value, limit), OTHER, f"{reason}.", value > limit,
                        ways=(LOOK, LEAVE_OUT, WEIGHT, RETAG))


def _caption(image: int, signals: Signals, limit: float) -> ImageFinding:
    value = signals.caption(image, limit)
    reason = "It does not look as images with such a caption do"
    if signals.gaps.get(image, 1.0) <= 0 and signals.mismatched.get(image, 0.0) > limit / 2:
        reason += ", and captions of other images suit it better than its own"
    return ImageFinding(image, 0, suspicion_of(value, 1.0), CAPTION, f"{reason}.", value > 1,
                        ways=(RETAG, LOOK, WEIGHT, LEAVE_OUT))


def _hard(image: int, signals: Signals, limit: float) -> ImageFinding:
    value = min(signals.hard.get(image, 0.0), signals.unlearned.get(image, 0.0))
    return ImageFinding(image, 0, suspicion_of(value, limit), HARD,
                        "Its loss is high and falls less than that of the others: it may be blurred, cluttered, or of "
                        "something else.", value > limit, ways=(LOOK, WEIGHT, RETAG, LEAVE_OUT))


def _duplicate(plan: DiagnosisPlan, group: Sequence[int], likeness: float,
               suspicions: Mapping[int, float]) -> ImageFinding:
    """One finding for the whole ``group``, of its first image that is not more suspicious for another reason.

    If all are, it is of the one with the least of ``suspicions``.
    """
    suspicion = suspicion_of(likeness, 1.0)
    image = next((one for one in group if suspicions.get(one, 0.0) < suspicion),
                 min(group, key=lambda one: suspicions.get(one, 0.0)))
    others = tuple(other for other in group if other != image)
    names = ", ".join(PurePath(plan.images[other].path).name for other in others[:3])
    names += f" and {len(others) - 3} more" if len(others) > 3 else ""
    reason = (f"It is nearly the same as {names}, and is learned {len(group)} times as often as others."
              if likeness > 1 else
              f"It is more like {names} than images of this set usually are, but not certainly a copy.")
    return ImageFinding(image, 0, suspicion, DUPLICATE, reason, likeness > 1, others, (LOOK, LEAVE_OUT, WEIGHT))


def _learned(measurements: Sequence[Measurement]) -> dict[int, float]:
    """The logarithm of how far each image's loss has fallen since the first measurement, mean over the timesteps."""
    with_losses = [one for one in measurements if any(one.loss)]
    if len(with_losses) < 2:
        return {}
    found = {}
    for image, (before, after) in enumerate(zip(with_losses[0].loss, with_losses[-1].loss, strict=True)):
        if before and after:
            found[image] = float(np.mean(np.log(before) - np.log(after)))
    return found


def _last_losses(measurements: Sequence[Measurement]) -> dict[int, float]:
    with_losses = [one for one in measurements if any(one.loss)]
    last = with_losses[-1].loss if with_losses else ()
    return {image: float(np.mean(losses)) for image, losses in enumerate(last) if losses}


def _negative(values: Mapping[int, float]) -> dict[int, float]:
    return {key: -value for key, value in values.items()}
