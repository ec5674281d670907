"""Decoding of masks, with the limits of any image, and the check that a mask has the shape of its image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageChops

from ..images import PictureError, decoded_with_mask


def open_mask(path: Path, picture: Path, size: tuple[int, int], content: bytes | BinaryIO | None = None) -> Image.Image:
    """The mask of ``picture`` at the image's upright ``size``, mode L, 255 where the image is trained on.

    Colours become grey, and transparent parts black. A mask of the image's shape is resized. Raises ``PictureError``
    if it is damaged, too large, or of another shape. Must not be called while another image is ``decoded``, since
    that holds the pixel budget.
    """
    with decoded_with_mask(path, content) as (colours, alpha):
        problem = shape_problem(colours.size, picture, size)
        if problem:
            raise PictureError(path, problem)
        grey = colours.convert("L")
        if alpha is not None:  # ``colours`` is over white, which is this much brighter than over black
            grey = ImageChops.subtract(grey, ImageChops.invert(alpha))
        return grey if grey.size == size else grey.resize(size, Image.Resampling.BILINEAR)


def darkest(masks: Sequence[Image.Image | None]) -> Image.Image | None:
    """The masks of an image, such as its file and its alpha channel, as one; ``None`` if there is none."""
    found = [mask for mask in masks if mask is not None]
    return reduce(ImageChops.darker, found) if found else None


def shape_problem(mask_size: tuple[int, int], picture: Path, size: tuple[int, int]) -> str:
    """Why a mask of ``mask_size`` does not fit ``picture`` of ``size``, as a clause; empty if it does.

    The shapes may differ by the rounding of a side to whole pixels.
    """
    (mask_width, mask_height), (width, height) = mask_size, size
    if abs(mask_width * height - mask_height * width) <= max(width, height):
        return ""
    return (f"it is a mask of {mask_width}x{mask_height} pixels, but its image {picture.name} has {width}x{height}, "
            "which is another shape; make a mask of the image's size")
