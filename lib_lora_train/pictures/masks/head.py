"""Masks of head and shoulders, from the faces that OpenCV's cascade finds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from ..faces import Face
from .shape import LONGEST_SIDE, Levels, NoMaskError

_ABOVE = 0.4
"""The share of the region's height above the middle of the face; shoulders need more room than hair."""

_ROUNDING = 0.3


def head_mask(size: tuple[int, int], faces: Sequence[Face], factor: float) -> Levels:
    """The mask of an image of ``size`` (width, height) with rounded regions around ``faces``.

    Each region is ``factor`` faces wide and high; at 1 it is the face alone. The mask is made at no more than
    ``LONGEST_SIDE`` pixels. Raises ``NoMaskError`` if there is no face.
    """
    if not faces:
        raise NoMaskError("no face was detected in it; the detector finds photographed and realistically drawn faces "
                          "from the front; use another method")
    scale = min(1.0, LONGEST_SIDE / max(size))
    mask = Image.new("L", (max(1, round(size[0] * scale)), max(1, round(size[1] * scale))), 0)
    pen = ImageDraw.Draw(mask)
    for face in faces:
        side = face.side * factor * scale
        x, y = face.x * scale, face.y * scale
        above = side / 2 + (factor > 1) * (_ABOVE - 0.5) * side
        pen.rounded_rectangle((x - side / 2, y - above, x + side / 2, y - above + side), side * _ROUNDING, fill=255)
    return np.asarray(mask, dtype=np.uint8).copy()
