"""Turning, mirroring and straightening an image, and cutting a frame out of the result."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from ...errors import DatasetError
from ..images import SMALLEST_SIDE

MOST_DEGREES = 45.0
_QUARTERS = {1: Image.Transpose.ROTATE_270, 2: Image.Transpose.ROTATE_180, 3: Image.Transpose.ROTATE_90}
_SMOOTH_MODES = ("L", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "I", "F", "La", "RGBa")
"""Modes that Pillow resamples with interpolation."""


class Frame(NamedTuple):
    """A rectangle in pixels of an image; ``right`` and ``bottom`` are the first column and row outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """In pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """In pixels."""
        return self.bottom - self.top


@dataclass(frozen=True)
class Turn:
    """How an upright image is turned: ``quarters`` times 90° clockwise, then mirrored, then straightened.

    Straightening rotates clockwise by ``degrees`` and keeps the largest rectangle without empty corners.
    """

    quarters: int = 0
    mirrored: bool = False
    degrees: float = 0.0

    def __post_init__(self) -> None:
        """Raises ``DatasetError`` if there is no such turn."""
        if self.quarters not in (0, 1, 2, 3):
            raise DatasetError(f"An image cannot be rotated by {self.quarters} quarter turns. Choose 0 to 3.")
        if not -MOST_DEGREES <= self.degrees <= MOST_DEGREES:  # also refuses NaN
            raise DatasetError(f"An image can be straightened by {MOST_DEGREES:g}° at most, not by {self.degrees:g}°. "
                               "Rotate it by 90° first.")

    @property
    def changes(self) -> bool:
        """Whether the image does not stay as it is."""
        return bool(self.quarters or self.mirrored or self.degrees)

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """The size of an image of ``width`` x ``height`` pixels after this turn."""
        if self.quarters % 2:
            width, height = height, width
        if not self.degrees:
            return width, height
        across, down = inner_size(width, height, self.degrees)
        return max(1, math.floor(across + 1e-6)), max(1, math.floor(down + 1e-6))


UNTURNED = Turn()


def inner_size(width: float, height: float, degrees: float) -> tuple[float, float]:
    """The largest upright rectangle, by area, inside a rectangle that is rotated about its centre.

    Either two of its corners lie on the long sides, the other two free, if the rotated rectangle is narrow, or all four
    lie on one side each.
    """
    sine, cosine = abs(math.sin(math.radians(degrees))), abs(math.cos(math.radians(degrees)))
    longer, shorter = max(width, height), min(width, height)
    if shorter <= 2 * sine * cosine * longer or abs(sine - cosine) < 1e-9:
        along, across = shorter / 2 / sine, shorter / 2 / cosine
        return (along, across) if width >= height else (across, along)
    double = cosine * cosine - sine * sine
    return (width * cosine - height * sine) / double, (height * cosine - width * sine) / double


def checked_frame(frame: Frame | None, size: tuple[int, int]) -> Frame:
    """The frame to cut out of an image of ``size``, all of it for ``None``.

    Raises ``DatasetError`` if it is empty, too small to be trained on, or partly outside.
    """
    width, height = size
    if frame is None:
        return Frame(0, 0, width, height)
    if frame.width < SMALLEST_SIDE or frame.height < SMALLEST_SIDE:
        raise DatasetError(f"The crop has {max(0, frame.width)}x{max(0, frame.height)} pixels. Draw one of at least "
                           f"{SMALLEST_SIDE}x{SMALLEST_SIDE}.")
    if frame.left < 0 or frame.top < 0 or frame.right > width or frame.bottom > height:
        raise DatasetError(f"The crop reaches from {frame.left}, {frame.top} to {frame.right}, {frame.bottom}, but the "
                           f"image has only {width}x{height} pixels. Draw it inside the image.")
    return frame


def cut_out(picture: Image.Image, turn: Turn, frame: Frame | None) -> Image.Image:
    """``frame`` of the turned ``picture``, in the mode of ``picture``; a palette becomes colours if interpolated.

    Raises ``DatasetError`` as ``checked_frame``.
    """
    place = checked_frame(frame, turn.size_of(*picture.size))
    if turn.quarters:
        picture = picture.transpose(_QUARTERS[turn.quarters])
    if turn.mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if turn.degrees:
        return _straightened(picture, turn.degrees, place)
    return picture if place == (0, 0, *picture.size) else picture.crop(place)


def _straightened(picture: Image.Image, degrees: float, frame: Frame) -> Image.Image:
    """``frame`` of the inner rectangle of ``picture``, rotated clockwise by ``degrees`` about its centre."""
    picture = _smooth(picture)
    inner = Turn(degrees=degrees).size_of(*picture.size)
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    left, top = frame.left - inner[0] / 2, frame.top - inner[1] / 2  # from the centre
    backwards = (cosine, sine, cosine * left + sine * top + picture.width / 2,
                 -sine, cosine, -sine * left + cosine * top + picture.height / 2)
    turned = picture.transform((frame.width, frame.height), Image.Transform.AFFINE, backwards,
                               Image.Resampling.BICUBIC)
    if turned.mode != "I":
        return turned
    return Image.fromarray(np.asarray(turned).clip(0, 65535))  # interpolation may exceed the range of 16 bits


def _smooth(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):
        return picture.convert("I")
    if picture.mode in _SMOOTH_MODES and "transparency" not in picture.info:
        return picture
    if picture.mode == "1":
        return picture.convert("L")
    return picture.convert("RGBA" if "transparency" in picture.info or picture.mode == "PA" else "RGB")
