"""How well each image's own caption suits it, compared with captions of other images."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from ...runs.diagnosis.records import DiagnosisPlan, Measurement

_ROUNDS = 10
_DOUBT = 2.0
"""As many measurements as speak for a caption being neither better nor worse than others in general."""


def caption_gaps(plan: DiagnosisPlan, measurements: Sequence[Measurement]) -> dict[int, float]:
    """How much lower the logarithm of each image's loss is with its own caption than with others.

    Some captions lower the loss of every image, such as short ones. So the logarithm of the loss is taken as the sum of
    one part of the image and one of the caption, fitted by alternating means; what the caption does everywhere does not
    count for it here.
    """
    logs: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in measurements:
        for pair in one.swapped:
            if pair.caption_of is not None:
                logs[pair.image][pair.caption_of].append(math.log(pair.other / pair.own))
    cells = {(image, _caption(plan, other)): sum(values) / len(values)
             for image, others in logs.items() for other, values in others.items()}
    cells |= {(image, _caption(plan, image)): 0.0 for image in logs}
    everywhere = _parts_of_captions(cells)
    gaps = {}
    for image, others in logs.items():
        rest = [cells[image, _caption(plan, other)] - everywhere[_caption(plan, other)] for other in others]
        gaps[image] = sum(rest) / len(rest) + everywhere[_caption(plan, image)]
    return gaps


def _caption(plan: DiagnosisPlan, image: int) -> str:
    return plan.images[image].caption


def _parts_of_captions(cells: Mapping[tuple[int, str], float]) -> dict[str, float]:
    """The part of each caption, drawn towards 0 where it was measured with few images."""
    of_images: dict[int, float] = defaultdict(float)
    of_captions: dict[str, float] = defaultdict(float)
    images, captions = defaultdict(list), defaultdict(list)
    for (image, caption), value in cells.items():
        images[image].append((caption, value))
        captions[caption].append((image, value))
    for _ in range(_ROUNDS):
        for image, row in images.items():
            of_images[image] = sum(value - of_captions[caption] for caption, value in row) / len(row)
        for caption, column in captions.items():
            of_captions[caption] = sum(value - of_images[image] for image, value in column) / (len(column) + _DOUBT)
    return of_captions
