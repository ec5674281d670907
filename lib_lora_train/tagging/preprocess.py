"""Preprocessing of images as in the taggers' training. Each function returns float32 (side, side, 3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..pictures.limits import MOST_PIXELS

_WHITE = (255, 255, 255)


def for_wd14(picture: Image.Image, side: int) -> NDArray[np.float32]:
    """BGR, 0 to 255: the image centred on a white square, then scaled with a bicubic filter.

    As in SmilingWolf's reference code (huggingface.co/spaces/SmilingWolf/wd-tagger). ``picture`` is RGB.
    """
    width, height = picture.size
    longest = max(width, height)
    if longest * longest > MOST_PIXELS:  # the square would be many times the size of the image
        picture = picture.resize((max(1, width * side // longest), max(1, height * side // longest)),
                                 Image.Resampling.BICUBIC)
        (width, height), longest = picture.size, side
    if width != height:
        square = Image.new("RGB", (longest, longest), _WHITE)
        square.paste(picture, ((longest - width) // 2, (longest - height) // 2))
        picture = square
    if longest != side:
        picture = picture.resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(picture, dtype=np.float32)[:, :, ::-1]


def for_deepdanbooru(picture: Image.Image, side: int) -> NDArray[np.float32]:
    """RGB, 0 to 1: the image scaled to fit and centred, with its edge pixels repeated to fill the square.

    As in DeepDanbooru's ``load_image_for_evaluate``: downscaling averages areas. Black or white bars would be tagged as
    letterboxing. ``picture`` is RGB.
    """
    scale = side / max(picture.size)
    width, height = (max(1, round(length * scale)) for length in picture.size)
    shrinks = scale < 1
    fitted = picture.resize((width, height), Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR)
    left, top = (side - width) // 2, (side - height) // 2
    margins = ((top, side - height - top), (left, side - width - left), (0, 0))
    return np.pad(np.asarray(fitted, dtype=np.float32) / 255, margins, mode="edge")
