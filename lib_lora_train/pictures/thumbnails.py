"""Thumbnails, cached on disk by path, modification time and size of the image."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from ..files.atomic import write_atomically
from ..files.writing import writing
from .images import decoded

SIZES = (128, 256, 512, 1024, 2048, 4096)
_KEPT_SECONDS = 30 * 24 * 3600.0
_QUALITY = 82


Shrink = Callable[[Path, BinaryIO, int], bytes]
"""A WebP of the file at that path, open for reading, that fits a square of as many pixels."""


def thumbnail(picture: Path, file: BinaryIO, size: int, cache: Path, shrink: Shrink | None = None,
              kind: str = "") -> Path:
    """An upright WebP thumbnail in ``cache`` that fits a square of ``size`` pixels, rounded up to one of ``SIZES``.

    ``file`` is ``picture``, open for reading. A smaller image is not enlarged. ``shrink`` makes another ``kind`` of
    small image of it.

    Raises ``PictureError`` if the image cannot be decoded, ``WriteError`` if ``cache`` cannot be written.
    """
    side = next((known for known in SIZES if known >= size), SIZES[-1])
    state = os.fstat(file.fileno())
    key = f"{picture}\n{state.st_mtime_ns}\n{state.st_size}\n{side}{kind}"
    small = cache / f"{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()[:40]}.webp"
    if not small.exists() or not small.stat().st_size:
        with writing(cache):
            cache.mkdir(parents=True, exist_ok=True)
        write_atomically(small, (shrink or _shrunk)(picture, file, side), durable=False)
    return small


def remove_old_thumbnails(cache: Path) -> None:
    """Delete thumbnails older than a month; they are created again on demand."""
    for file in cache.glob("*.webp"):
        if time.time() - file.stat().st_mtime > _KEPT_SECONDS:
            file.unlink(missing_ok=True)


def _shrunk(picture: Path, file: BinaryIO, side: int) -> bytes:
    with decoded(picture, file, at_least=2 * side) as image:
        image.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    content = BytesIO()
    image.save(content, "WEBP", quality=_QUALITY, method=2)
    return content.getvalue()
