"""Tags that an image does not show, though the others that have them do.

Each tag of an image is judged by how much more probable its features are without it. A tag that cannot be seen changes
no probability. Chance does, so a tag counts by how well the images with it and those without it can be told apart.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from ...runs.diagnosis.records import DiagnosisPlan, Measurement
from .expected import Expectation, Floats, expectations_of
from .robust import separation

_RATIOS = (0.0, 0.3, 1.0, 3.0, 10.0)
"""A component that captions do not explain says nothing about a tag."""
_FEWEST = 3
"""A tag is judged if as many images have it, and as many lack it."""
_MOST_WITHOUT = 40
"""Images that lack a tag which it is compared in, evenly chosen."""


def absences(plan: DiagnosisPlan, measurements: Sequence[Measurement]) -> dict[str, dict[int, float]]:
    """The logarithm of how much more probable an image is without each of its tags, by how far the tag can be seen.

    Below 0 for tags that fit.
    """
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for images, expectation in expectations_of(plan, measurements, _RATIOS):
        tags = [plan.images[image].tags for image in images]
        counts = Counter(tag for one in tags for tag in set(one))
        for tag in sorted(counts):
            if _FEWEST <= counts[tag] <= len(images) - _FEWEST:
                having, odds, visible = _judged(expectation, tags, tag)
                found[tag] |= {images[place]: float(value) * visible for place, value in zip(having, odds, strict=True)}
    return dict(found)


def _judged(expectation: Expectation, tags: Sequence[Sequence[str]], tag: str) -> tuple[list[int], Floats, float]:
    """The images that have ``tag``, the logarithm of the odds against it there, and its visibility."""
    having = [place for place, one in enumerate(tags) if tag in one]
    lacking = [place for place, one in enumerate(tags) if tag not in one]
    lacking = lacking[::-(-len(lacking) // _MOST_WITHOUT)]
    own, others = [tags[place] for place in having], [tags[place] for place in lacking]
    without = expectation.changed(having, own, [[other for other in one if other != tag] for one in own])
    added = expectation.changed(lacking, others, [[*one, tag] for one in others])
    odds: Floats = without - expectation.own[having]
    return having, odds, separation(odds, expectation.own[lacking] - added)
