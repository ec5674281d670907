"""Masks as they are shown over images: what is not trained is tinted."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageChops

from .read import open_mask

TINT = (225, 29, 72)
"""The color of what is not trained; the page mixes it with the image."""


def tinted(mask: Image.Image) -> Image.Image:
    """``mask`` (mode L) as RGBA: what is not trained in ``TINT``, the rest transparent."""
    overlay = Image.new("RGBA", mask.size, TINT)
    overlay.putalpha(ImageChops.invert(mask))
    return overlay


def overlay_of(picture: Path, size: tuple[int, int]) -> Callable[[Path, BinaryIO, int], bytes]:
    """A function for ``thumbnail`` that makes small overlays of the masks of ``picture``, of ``size`` pixels.

    It raises ``PictureError`` if the mask is damaged or of another shape.
    """
    def shrunk(path: Path, file: BinaryIO, side: int) -> bytes:
        mask = open_mask(path, picture, size, file)
        mask.thumbnail((side, side), Image.Resampling.BOX)
        content = BytesIO()
        tinted(mask).save(content, "WEBP", quality=50, alpha_quality=90, method=2)
        return content.getvalue()

    return shrunk
