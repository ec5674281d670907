"""Whether an image is a slightly smaller part of another one."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from .small import FINE_SIDE, SIDE, Apart, apart

_MOST = 0.05 * FINE_SIDE
"""What may be missing at each side, in pixels of the fine image."""
_BLURS = (3.0, 3.0, 3.0, 1.5, 1.5, 1.5)
"""Of each round, in pixels: shifts of about this size can be estimated from slopes."""
_LEAST_SLOPE = 1.0
"""Sum of squares: where nothing can be seen to move, nothing is moved."""
_PLACES = np.linspace(0, 1, FINE_SIDE)
_PLAIN = 8
"""Levels by which ground may differ from the pixels beside it and still be plain."""


class Cropped(NamedTuple):
    """How far two images are apart if one is a crop of the other.

    ``only_ground``: what it lacks continues its edges, so a figure may have been moved on plain ground instead.
    """

    apart: Apart
    only_ground: bool


def apart_if_cropped(one: Image.Image, other: Image.Image) -> Cropped:
    """How far two fine images are apart if one is the other without up to 5 % at each side, mirrored or not."""
    turned = ImageOps.mirror(other)
    if _difference(one, turned) < _difference(one, other):
        other = turned
    return min((_apart_at(one, other), _apart_at(other, one)), key=lambda found: float(found.apart.everywhere[0]))


def _difference(one: Image.Image, other: Image.Image) -> float:
    return float(np.square(_values(one) - _values(other)).sum())


def _apart_at(part: Image.Image, whole: Image.Image) -> Cropped:
    box = _box_of(part, whole)
    shown = whole.resize(whole.size, Image.Resampling.BILINEAR, box)  # nothing from beyond the box
    small = (np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR))[None] for image in (part, shown))
    return Cropped(apart(*small), _is_plain_outside(box, whole))


def _is_plain_outside(box: tuple[float, float, float, float], whole: Image.Image) -> bool:
    pixels = np.asarray(whole, dtype=np.int16)
    left, top, right, bottom = math.ceil(box[0]), math.ceil(box[1]), math.floor(box[2]), math.floor(box[3])
    continued = np.pad(pixels[top:bottom, left:right],
                       ((top, FINE_SIDE - bottom), (left, FINE_SIDE - right), (0, 0)), mode="edge")
    return bool(np.abs(continued - pixels).max() <= _PLAIN)


def _box_of(part: Image.Image, whole: Image.Image) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what ``part`` shows of ``whole``, found by the method of Lucas and Kanade (1981):
    from differences and slopes, at equal light, again and again."""
    seen, source = part.convert("L"), whole.convert("L")
    start: NDArray[np.float64] = np.zeros(2)
    end: NDArray[np.float64] = np.full(2, float(FINE_SIDE))
    for blur in map(ImageFilter.GaussianBlur, _BLURS):
        shown = source.resize(source.size, Image.Resampling.BILINEAR, (start[0], start[1], end[0], end[1]))
        moved = _moved(_values(seen.filter(blur)), _values(shown.filter(blur)))
        scale = (end - start) / FINE_SIDE
        start = np.clip(start + scale * moved[:2], 0, _MOST)
        end = np.clip(end + scale * moved[2:], FINE_SIDE - _MOST, FINE_SIDE)
    return float(start[0]), float(start[1]), float(end[0]), float(end[1])


def _values(image: Image.Image) -> NDArray[np.float64]:
    return np.asarray(image, dtype=np.float64)


def _moved(wanted: NDArray[np.float64], shown: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how many pixels left, top, right and bottom of what is ``shown`` should move to show what is ``wanted``."""
    down, right = np.gradient(shown)
    across, along = _PLACES[None, :], _PLACES[:, None]
    columns = (right * (1 - across), down * (1 - along), right * across, down * along, shown, np.ones_like(shown))
    slopes = np.stack(columns, axis=-1).reshape(-1, len(columns))
    squares = slopes.T @ slopes + np.diag(np.full(len(columns), _LEAST_SLOPE))
    found: NDArray[np.float64] = np.linalg.solve(squares, slopes.T @ (wanted - shown).ravel())
    return found[:4]
