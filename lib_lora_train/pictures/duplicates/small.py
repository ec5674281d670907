"""The small image that near-duplicates are found by, and how far two of them are apart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 16
FINE_SIDE = 64
Small = NDArray[np.uint8]

SAME = 4.0
"""Root mean square difference of copies, 0 to 255. Copies of 128-pixel drawings, resized, and as JPEG of quality 50,
differ by at most 3.1, cropped ones by 2.7; different drawings of the same thing by at least 7.8 as they are."""
_ANYWHERE, _TIMES = 8.0, 4.0
"""No pixel of copies differs by more than this and so many times the root mean square, in any channel, since rounding
is spread over the image. What another pose changes is in one place: 16 where the root mean square is 1.2."""
LEAST_GAIN, MOST_GAIN = 0.65, 1.5
_MOST_OFFSET = 80.0
_CLIPPED = 4
"""Levels from black or white: a change of brightness may have cut off what was there."""
_FEWEST = 40
"""Of 768 values: from fewer that are not clipped, no change of brightness is estimated."""
_LEAST_SPREAD = 10.0
"""Standard deviation: plain images are the same only in the same color."""


class Apart(NamedTuple):
    """How far pairs of small images are apart, (pairs,): root mean square, and the greatest difference anywhere."""

    everywhere: NDArray[np.float32]
    anywhere: NDArray[np.float32]

    @property
    def is_same(self) -> NDArray[np.bool_]:
        """Whether each pair is within the bounds of copies."""
        found: NDArray[np.bool_] = (self.everywhere <= SAME) & (
            self.anywhere <= _ANYWHERE + _TIMES * self.everywhere)
        return found


def small_of(picture: Image.Image) -> Small:
    """The means of areas of an RGB image, (16, 16, 3), whatever its shape."""
    return np.asarray(fine_of(picture).resize((SIDE, SIDE), Image.Resampling.BOX))


def small_from(data: bytes) -> Small:
    """The small image of its bytes, row by row. Raises ``ValueError`` if they are not 768."""
    return np.frombuffer(data, np.uint8).reshape(SIDE, SIDE, 3)


def fine_of(picture: Image.Image) -> Image.Image:
    """The image at 64 x 64 pixels, from which the small one is made."""
    return picture.convert("RGB").resize((FINE_SIDE, FINE_SIDE), Image.Resampling.BILINEAR, reducing_gap=3)


def apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> Apart:
    """How far the images ``one`` and ``other``, both (pairs, 16, 16, 3), are apart: mirrored or not, at equal light.

    Equal light: one may be brighter or darker as a whole, or have more or less contrast, by up to about a third.
    """
    first, second = one.astype(np.float32), other.astype(np.float32)
    tries = [_after_light(first, second), _after_light(second, first),
             _after_light(first, second[:, :, ::-1]), _after_light(second, first[:, :, ::-1])]
    best = np.argmin([found.everywhere for found in tries], axis=0)
    rows = np.arange(len(best))
    return Apart(*(np.stack(values)[best, rows] for values in zip(*tries, strict=True)))


def is_copy(one: Small, other: Small) -> bool:
    """Whether two images are nearly the same, whatever others there are."""
    return bool(apart(one[None], other[None]).is_same[0])


def _after_light(seen: NDArray[np.float32], source: NDArray[np.float32]) -> Apart:
    """How far ``seen`` is from ``source`` at the gain and offset that fit best, all channels alike."""
    count = len(seen)
    seen, source = seen.reshape(count, -1), source.reshape(count, -1)
    low, high = np.minimum(seen, source), np.maximum(seen, source)
    open_ones = ((low > _CLIPPED) & (high < 255 - _CLIPPED)).astype(np.float32)
    total = open_ones.sum(axis=1)
    weights = open_ones / np.maximum(total, 1)[:, None]
    mean_seen, mean_source = (weights * seen).sum(axis=1), (weights * source).sum(axis=1)
    from_source = source - mean_source[:, None]
    spread = (weights * from_source ** 2).sum(axis=1)
    gain = (weights * from_source * (seen - mean_seen[:, None])).sum(axis=1) / np.maximum(spread, 1e-3)
    gain = np.clip(gain, LEAST_GAIN, MOST_GAIN)
    offset = np.clip(mean_seen - mean_source, -_MOST_OFFSET, _MOST_OFFSET)
    lit = np.clip(gain[:, None] * from_source + (mean_source + offset)[:, None], 0, 255)
    lit = np.where(((total >= _FEWEST) & (spread >= _LEAST_SPREAD ** 2))[:, None], lit, source)
    plain, after = np.abs(seen - source), np.abs(seen - lit)
    nearer = ((after ** 2).sum(axis=1) < (plain ** 2).sum(axis=1))[:, None]
    difference = np.where(nearer, after / np.minimum(gain, 1)[:, None], plain)
    return Apart(np.sqrt((difference ** 2).mean(axis=1)), difference.max(axis=1))
