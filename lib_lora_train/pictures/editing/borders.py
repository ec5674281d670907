"""Uniform borders of an image: black bars, white frames, and the plain background around a subject."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..images import SMALLEST_SIDE
from .turning import Frame

_TOLERANCE = 18
"""The largest difference from the border's colour, of 255 in any channel: JPEG artefacts beside an edge."""

_UNIFORM_SHARE = 0.985
"""The share of a line's pixels that must have the border's colour; the rest are dust, or a page number."""

_EDGE_SHARE = 0.5
"""A bar ends at an edge: this share of the first line behind it differs. A plain background ends at a tip of hair."""

_SAMPLES = 1500
"""About as many pixels of a long line are judged; a smaller one is judged as a whole."""

_SOFT_LINES = 9
"""The lines in which a bar may blend into the image: a block of JPEG, or what scaling leaves."""

_LEAST_LEFT = 0.2
"""The share of each side that must be left, so that a dark image is not trimmed to a spot of light."""


def without_borders(picture: Image.Image, plain: bool = False) -> Frame | None:
    """The upright RGB ``picture`` without its uniform borders of any colour; ``None`` if it has none.

    Only bars and frames with a straight edge count, unless ``plain``, which also trims a plain background.
    """
    pixels = np.asarray(picture.convert("RGB"))
    left, top, right, bottom = 0, 0, picture.width, picture.height
    for _ in range(3):  # bars within a frame
        before = left, top, right, bottom
        inside = pixels[top:bottom, left:right]
        top, bottom = top + _border(inside, plain), bottom - _border(inside[::-1], plain)
        inside = pixels[top:bottom, left:right].transpose(1, 0, 2)
        left, right = left + _border(inside, plain), right - _border(inside[::-1], plain)
        if (left, top, right, bottom) == before or not _is_enough(picture, left, top, right, bottom):
            break
    if (left, top, right, bottom) == (0, 0, *picture.size) or not _is_enough(picture, left, top, right, bottom):
        return None
    return Frame(left, top, right, bottom)


def _is_enough(picture: Image.Image, left: int, top: int, right: int, bottom: int) -> bool:
    return (right - left >= max(SMALLEST_SIDE, _LEAST_LEFT * picture.width)
            and bottom - top >= max(SMALLEST_SIDE, _LEAST_LEFT * picture.height))


def _border(lines: NDArray[np.uint8], plain: bool) -> int:
    """How many of the first ``lines`` (lines, pixels, RGB) are border; 0 if all of them are alike."""
    if not lines.size:
        return 0
    lines = lines[:, ::max(1, lines.shape[1] // _SAMPLES)]
    colour = np.median(lines[0], axis=0).astype(np.int16)
    for number, line in enumerate(lines):
        if _differing(line[np.newaxis], colour)[0] > 1 - _UNIFORM_SHARE:
            if not number or plain:
                return number
            reach = _differing(lines[number:number + _SOFT_LINES], colour) >= _EDGE_SHARE
            return number + int(np.argmax(reach)) if reach.any() else 0
    return 0


def _differing(lines: NDArray[np.uint8], colour: NDArray[np.int16]) -> NDArray[np.float64]:
    """The share of pixels of each line that do not have the colour."""
    return np.asarray((np.abs(lines.astype(np.int16) - colour).max(axis=-1) > _TOLERANCE).mean(axis=1))
