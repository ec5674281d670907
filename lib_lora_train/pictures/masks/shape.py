"""What all automatic masks share: growing and feathering, and the PNG file with a note of its method."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from PIL.PngImagePlugin import PngInfo

from ...errors import DatasetError
from ...files.confine import open_inside

Levels = NDArray[np.uint8]
"""A mask, uint8 (height, width): 255 is trained, 0 is not."""

LONGEST_SIDE = 1536
"""Masks are made in a copy of this size and enlarged; training sizes are below it."""

_METHOD = "lora_train_mask"
_BEGINNING_BYTES = 4096


class NoMaskError(DatasetError):
    """No mask can be made for an image; ``reason`` is a clause that can follow the file's name."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"No mask can be made: {reason}.")


def small_copy(picture: Image.Image) -> Image.Image:
    """``picture``, reduced so that no side is longer than ``LONGEST_SIDE``."""
    scale = LONGEST_SIDE / max(picture.size)
    if scale >= 1:
        return picture
    return picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))),
                          Image.Resampling.BOX)


def finished(levels: Levels, size: tuple[int, int], grow: float, feather: float) -> Image.Image:
    """The mask as an image of ``size``, mode L: grown, feathered, then enlarged.

    ``grow`` (negative: shrunk) and ``feather`` are per cent of the shorter side.
    """
    shorter = min(levels.shape)
    radius = round(shorter * abs(grow) / 100)
    if grow > 0:
        levels = grown(levels, radius)
    elif grow < 0:
        levels = shrunk(levels, radius)
    mask = Image.fromarray(levels)
    if feather > 0:
        mask = mask.filter(ImageFilter.GaussianBlur(shorter * feather / 100))
    return mask if mask.size == size else mask.resize(size, Image.Resampling.BILINEAR)


def grown(levels: Levels, radius: int) -> Levels:
    """The maximum over squares of ``2 * radius + 1`` pixels around each pixel."""
    for axis in (0, 1):
        levels = _maximum_along(levels, radius, axis)
    return levels


def shrunk(levels: Levels, radius: int) -> Levels:
    """The minimum over squares of ``2 * radius + 1`` pixels around each pixel; the image's edge shrinks nothing."""
    return 255 - grown(255 - levels, radius)


def png_of(mask: Image.Image, method: str = "") -> bytes:
    """The 8-bit grey PNG of ``mask``, with a note of the automatic ``method``; without one, it was made by hand."""
    info = PngInfo()
    if method:
        info.add_text(_METHOD, method)
    content = BytesIO()
    mask.convert("L").save(content, "PNG", pnginfo=info)
    return content.getvalue()


def method_of(png: bytes) -> str:
    """The method noted in the first kilobytes of a mask's file; empty if it was made or changed by hand."""
    place = png.find(b"tEXt" + _METHOD.encode() + b"\0")
    if place < 4:
        return ""
    length = int.from_bytes(png[place - 4:place], "big")
    return png[place + 5 + len(_METHOD):place + 4 + length].decode("latin-1")[:40]


def method_of_file(folder: Path, mask: str) -> str:
    """As ``method_of``, for the file ``mask`` of ``folder``; empty if it cannot be read or was made by hand."""
    try:
        with open_inside(folder, mask) as file:
            return method_of(file.read(_BEGINNING_BYTES))
    except (DatasetError, OSError):
        return ""  # not known to be ours, so it counts as made by hand


def _maximum_along(levels: Levels, radius: int, axis: int) -> Levels:
    """The maximum of ``2 * radius + 1`` neighbours along ``axis``, by windows of doubling length."""
    if not radius:
        return levels
    length = levels.shape[axis]
    margins = [(0, 0), (0, 0)]
    margins[axis] = (radius, radius)
    window, covered = np.pad(levels, margins), 1
    while covered < 2 * radius + 1:
        step = min(covered, 2 * radius + 1 - covered)
        ahead = np.take(window, range(step, window.shape[axis]), axis)
        window = np.maximum(np.take(window, range(ahead.shape[axis]), axis), ahead)
        covered += step
    return np.take(window, range(length), axis)
