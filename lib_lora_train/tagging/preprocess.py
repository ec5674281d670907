"""Preprocessing of images as in a tagger's training, from its description."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..config.groups.tagger import NCHW, RESIZE_THEN_EDGE, RESIZE_THEN_PAD, SQUARE_THEN_RESIZE, ImageDescription
from ..pictures.limits import MOST_PIXELS

_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR,
            "lanczos": Image.Resampling.LANCZOS, "nearest": Image.Resampling.NEAREST}


def prepared(picture: Image.Image, side: int, image: ImageDescription, with_mask: bool = False) -> NDArray[np.float32]:
    """An RGB image as the model takes it: float32 (side, side, 3), or (3, side, side) for ``nchw``.

    With ``with_mask`` there is a fourth channel: 1 where the image is padding, 0 elsewhere.
    """
    if image.resize == SQUARE_THEN_RESIZE:
        pixels, padding = _square_then_resize(picture, side, image)
    elif image.resize in (RESIZE_THEN_PAD, RESIZE_THEN_EDGE):
        pixels, padding = _resize_then_pad(picture, side, image)
    else:
        pixels = np.asarray(_resized(picture, side, side, image.filter), np.float32)
        padding = np.zeros((side, side), np.float32)
    if image.channels == "bgr":
        pixels = pixels[:, :, ::-1]
    if (image.divide_by, image.mean, image.std) != (1.0, [0.0] * 3, [1.0] * 3):
        mean, std = np.asarray(image.mean, np.float32), np.asarray(image.std, np.float32)
        pixels = (pixels / np.float32(image.divide_by or 1) - mean) / std
    if with_mask:
        pixels = np.concatenate([pixels, padding[:, :, None]], axis=2, dtype=np.float32)
    if image.layout == NCHW:
        pixels = pixels.transpose(2, 0, 1)
    return np.ascontiguousarray(pixels, np.float32)


def _square_then_resize(picture: Image.Image, side: int,
                        image: ImageDescription) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The image centered on a square, then scaled; as in huggingface.co/spaces/SmilingWolf/wd-tagger."""
    width, height = picture.size
    longest = max(width, height)
    if longest * longest > MOST_PIXELS:  # the square would be many times the size of the image
        picture = _resized(picture, max(1, width * side // longest), max(1, height * side // longest), image.filter)
        (width, height), longest = picture.size, side
    left, top = (longest - width) // 2, (longest - height) // 2
    if width != height:
        square = Image.new("RGB", (longest, longest), _color(image))
        square.paste(picture, (left, top))
        picture = square
    if longest != side:
        picture = _resized(picture, side, side, image.filter)
    scale = side / longest
    rows = _outside(side, top * scale, (top + height) * scale)
    columns = _outside(side, left * scale, (left + width) * scale)
    return np.asarray(picture, np.float32), np.maximum(rows[:, None], columns[None])


def _resize_then_pad(picture: Image.Image, side: int,
                     image: ImageDescription) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The image scaled to fit and centered, the rest of the square filled with a color or the edge pixels."""
    edge = image.resize == RESIZE_THEN_EDGE
    scale = side / max(picture.size)
    width, height = (max(1, round(length * scale) if edge else int(length * scale + 1e-6)) for length in picture.size)
    fitted = np.asarray(_resized(picture, width, height, image.filter), np.float32)
    left, top = (side - width) // 2, (side - height) // 2
    padding = np.ones((side, side), np.float32)
    padding[top:top + height, left:left + width] = 0
    if edge:
        margins = ((top, side - height - top), (left, side - width - left), (0, 0))
        return np.pad(fitted, margins, mode="edge"), padding
    square = np.full((side, side, 3), _color(image), np.float32)
    square[top:top + height, left:left + width] = fitted
    return square, padding


def _outside(side: int, begin: float, end: float) -> NDArray[np.float32]:
    """1 for each of ``side`` pixels whose center is not between ``begin`` and ``end``; float32 (side,)."""
    centers = np.arange(side) + 0.5
    return ((centers < begin) | (centers > end)).astype(np.float32)


def _resized(picture: Image.Image, width: int, height: int, kind: str) -> Image.Image:
    if picture.size == (width, height):
        return picture
    if kind == "area":
        smaller = width * height < picture.width * picture.height
        return picture.resize((width, height), Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR)
    return picture.resize((width, height), _FILTERS[kind])


def _color(image: ImageDescription) -> tuple[int, int, int]:
    red, green, blue = (round(value) for value in image.pad_color)
    return red, green, blue
