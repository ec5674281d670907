"""The training images that a generated image resembles most, by colours and structure, and by what the tagger sees.

No model is needed: everything is measured from the small images that near-duplicates are found by, and from difference
hashes, of the image and of its mirror image. How well that finds the image a sample was learned from is measured
in docs/diagnosis.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ...pictures.duplicates.small import SIDE, Small, is_copy, small_from, small_of
from ...pictures.facts import Marks, difference_hash

MOST_NEAR = 8
CLOSE_FROM, CLOSE_SHARE = 0.8, 0.65
"""The least likeness of a ``close`` image, and its distance as a share of that of the second nearest. Found with
memorized samples, samples of the base model, and images never trained on."""

TAGS_SHARE = 0.1
"""What the tagger's confidences count of the likeness. More finds fewer of the images that samples were learned from,
none finds fewer of those that are moved or enlarged."""

_KINDS = ("copy", "close", "")
_SIDE = 8
_BITS = 64


@dataclass(frozen=True)
class Features:
    """Of one image: its difference hash, its small image, and its 8 x 8 RGB pixels, float32 (8, 8, 3), 0 to 255."""

    difference_hash: int
    small: Small
    pixels: NDArray[np.float32]

    @classmethod
    def of_picture(cls, picture: Image.Image) -> Features:
        """The features of an RGB image."""
        return cls._of(difference_hash(picture), small_of(picture))

    @classmethod
    def of_marks(cls, marks: Marks) -> Features:
        """The features of an image that was measured."""
        return cls._of(marks.difference_hash, small_from(marks.small))

    @classmethod
    def _of(cls, difference: int, small: Small) -> Features:
        pixels = small.reshape(_SIDE, SIDE // _SIDE, _SIDE, SIDE // _SIDE, 3).mean(axis=(1, 3), dtype=np.float32)
        return cls(difference, small, pixels)


@dataclass(frozen=True)
class Near:
    """A training image and its ``likeness``, 0 to 1; ``mirrored``: its mirror image is more alike.

    ``kind``: ``copy`` if the sample is nearly the same image, ``close`` if it is much nearer to this one than to any
    other, else empty.
    """

    number: int
    likeness: float
    kind: str
    mirrored: bool


Known = tuple[int, Features, Mapping[str, float]]
"""Number, features and the tagger's confidences (by ``plain`` tag) of a training image."""


def nearest(picture: Image.Image, seen: Mapping[str, float], known: Sequence[Known]) -> list[Near]:
    """The images of ``known`` that ``picture`` resembles most, the most alike first.

    ``seen`` are the tagger's confidences in ``picture`` by ``plain`` tag, empty without a tagger.
    """
    own, mirror = Features.of_picture(picture), Features.of_picture(ImageOps.mirror(picture))
    pairs = [(alike(own, features), alike(mirror, features)) for _, features, _ in known]
    pixels = [max(pair) for pair in pairs]
    close = _close([features for _, features, _ in known], pixels)
    found = []
    for place, (number, features, tags) in enumerate(known):
        straight, turned = pairs[place]
        likeness = pixels[place]
        if seen and tags:
            likeness += TAGS_SHARE * (_agreement(seen, tags) - likeness)
        kind = "copy" if is_copy(own.small, features.small) else "close" if place == close else ""
        found.append(Near(number, round(likeness, 4), kind, turned > straight))
    return sorted(found, key=lambda near: (_KINDS.index(near.kind), -near.likeness, near.number))[:MOST_NEAR]


def _close(features: Sequence[Features], pixels: Sequence[float]) -> int | None:
    """The place of the image that is much nearer than any other but its own duplicates; ``None`` if there is none.

    Compared with the second nearest, as in N. Carlini et al., "Extracting Training Data from Diffusion Models" (2023),
    since all images of some sets are alike.
    """
    if not pixels:
        return None
    first = int(np.argmax(pixels))
    second = max((value for value, other in zip(pixels, features, strict=True)
                  if not is_copy(features[first].small, other.small)), default=0.0)
    near = pixels[first] >= CLOSE_FROM and 1 - pixels[first] <= CLOSE_SHARE * (1 - second)
    return first if near else None


def alike(one: Features, other: Features) -> float:
    """0 to 1: the mean of how near colours, structure and outline are."""
    colours = 1 - min(1.0, float(np.abs(one.pixels - other.pixels).mean()) / 64)
    bits = 1 - (one.difference_hash ^ other.difference_hash).bit_count() / _BITS
    return (colours + _correlation(one.pixels, other.pixels) + bits) / 3


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Of the pixels around each image's mean, 0 to 1; plain images have no structure to compare."""
    first, second = one - one.mean((0, 1)), other - other.mean((0, 1))
    size = float(np.linalg.norm(first) * np.linalg.norm(second))
    return max(0.0, float((first * second).sum()) / size) if size > 1e-3 else 0.0


def _agreement(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """The cosine of two images' confidences."""
    size = float(np.sqrt(sum(value * value for value in one.values()) * sum(value * value for value in other.values())))
    return sum(value * other.get(tag, 0.0) for tag, value in one.items()) / size if size else 0.0
