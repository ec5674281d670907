"""Doubtful tags: those that an image does not show, or without which its loss is lower, though they help in others."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from ...runs.diagnosis.records import DiagnosisPlan, Measurement, TagFinding
from .presence import absences
from .robust import limit_of, suspicion_of

_NORMAL = 1.4826
_OF_MEAN = 1.2533
"""The mean absolute deviation of a normal distribution times this is its standard deviation."""
_OF_LOSSES = 0.25
"""The weight of losses with and without a tag beside what images with it look like: they depend on the noise."""
_OF_FEW = 0.25
_CERTAIN = 2.5
"""The logarithm of the odds at which a tag that images do not show is an alarm: 12 to 1."""
_AGREEING = 2
"""A tag counts by so many images that it is most doubtful in, since single images are odd in any set."""
_MOST_FINDINGS = 30
_DOUBTFUL = 0.5
"""Images with at least this part of a tag's highest score are named with it."""


def tag_findings(plan: DiagnosisPlan, measurements: Sequence[Measurement]) -> tuple[TagFinding, ...]:
    """The doubtful tags, most suspicious first, with the images that they are doubtful in."""
    effects, unseen = effects_of(measurements), absences(plan, measurements)
    harm = scores_of(effects)
    scores = _added([(unseen, 1 / _CERTAIN),
                     (harm, (_OF_LOSSES if unseen else 1.0) / limit_of(sum(map(len, harm.values()))))])
    found = []
    for tag, of_images in scores.items():
        ordered = sorted(of_images.items(), key=lambda item: -item[1])
        doubt = float(np.mean([score for _, score in ordered[:_AGREEING]]))
        if doubt <= 0:
            continue
        images = [image for image, score in ordered if score >= _DOUBTFUL * ordered[0][1]]
        reason = _reason(tag, images, effects.get(tag, {}))
        found.append(TagFinding(tag, 0, round(suspicion_of(doubt, 1.0), 4), reason, doubt > 1, tuple(images)))
    found.sort(key=lambda one: (-one.suspicion, one.tag))
    return tuple(TagFinding(one.tag, rank, one.suspicion, one.reason, one.alarm, one.images)
                 for rank, one in enumerate(found[:_MOST_FINDINGS], start=1))


def effects_of(measurements: Sequence[Measurement]) -> dict[str, dict[int, float]]:
    """How much each tag helps in each image: the logarithm of the loss without it over the loss with it."""
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in measurements:
        for pair in one.tags:
            found[pair.tag][pair.image].append(math.log(pair.other / pair.own))
    return {tag: {image: float(np.mean(values)) for image, values in of_images.items()}
            for tag, of_images in found.items()}


def scores_of(effects: Mapping[str, Mapping[int, float]]) -> dict[str, dict[int, float]]:
    """How doubtful each tag is in each image, in robust standard deviations of all effects.

    A tag that harms is doubtful, and more so if it helps in the other images that have it.
    """
    every = np.array([effect for of_images in effects.values() for effect in of_images.values()])
    spread = max(_NORMAL * float(np.median(np.abs(every))), _OF_MEAN * float(np.abs(every).mean())) if len(every) else 0
    if spread <= 0:
        return {}
    found: dict[str, dict[int, float]] = {}
    for tag, of_images in effects.items():
        found[tag] = {}
        for image, effect in of_images.items():
            others = [value for other, value in of_images.items() if other != image]
            helps = max(0.0, float(np.median(others))) if others else 0.0
            found[tag][image] = _weight(len(of_images)) * (-effect + helps) / spread if effect < 0 else 0.0
    return found


def _weight(images: int) -> float:
    """How far a tag of so many images can be judged: where two disagree, either may be right."""
    return max(_OF_FEW, (images - 2) / images)


def _added(weighted: Sequence[tuple[dict[str, dict[int, float]], float]]) -> dict[str, dict[int, float]]:
    """The weighted sum of several scores of tags in images."""
    found: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for scores, weight in weighted:
        for tag, of_images in scores.items():
            for image, score in of_images.items():
                found[tag][image] += weight * score
    return found


def _reason(tag: str, images: Sequence[int], effects: Mapping[int, float]) -> str:
    where, look = ("one image", "it does") if len(images) == 1 else (f"{len(images)} images", "they do")
    measured = [effects[image] for image in images if image in effects]
    lower = measured and float(np.median(measured)) < 0
    end = f", and without the tag {'its' if len(images) == 1 else 'their'} loss is lower" if lower else ""
    return f"In {where}, the tag {tag} is doubtful: {look} not look like the others that have it{end}."
