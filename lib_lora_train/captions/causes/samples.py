"""Generated images that are examined: each in a small folder of its own, which a tagging run reads like a dataset."""

from __future__ import annotations

import io
import re
import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ...errors import DatasetError
from ...files.atomic import write_atomically
from ...files.writing import writing
from ...pictures.editing.turning import Frame
from ...pictures.images import open_picture
from ..confidences import read_confidences

WHOLE = "whole.png"
MOST_KEPT = 12
LEAST_SIDE = 16
"""In pixels. A smaller image says nothing to a tagger."""

_ID = re.compile(r"[0-9a-f]{32}")
_MARGIN = 0.15
"""What is left around a marked part on each side, as a share of it: taggers name things better with a little around."""


@dataclass(frozen=True)
class Sample:
    """A generated image in ``folder``."""

    folder: Path

    @property
    def id(self) -> str:
        """Its name for the page."""
        return self.folder.name

    def picture(self) -> Image.Image:
        """The image. Raises ``PictureError``."""
        return open_picture(self.folder / WHOLE)

    def mark(self, frame: Frame) -> str:
        """Save the part in ``frame``, in pixels, with a margin; returns the name of its file.

        Raises ``DatasetError`` if the frame is not in the image.
        """
        picture = self.picture()
        if not (0 <= frame.left < frame.right <= picture.width and 0 <= frame.top < frame.bottom <= picture.height):
            raise DatasetError(f"The mark {frame.left}, {frame.top} to {frame.right}, {frame.bottom} is not in the "
                               f"image of {picture.width} x {picture.height} pixels. Draw it again.")
        name = part_file(frame)
        content = io.BytesIO()
        picture.crop(_with_margin(frame, picture.size)).save(content, "PNG")
        write_atomically(self.folder / name, content.getvalue(), durable=False)
        return name

    def confidences(self, name: str) -> dict[str, float]:
        """What the tagger found in the file ``name``, by its spelling; empty if it was not tagged."""
        return dict(read_confidences(self.folder).as_written(name))


class Samples:
    """The examined images, the newest few of them, in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, content: bytes) -> Sample:
        """Keep the image in ``content``, a PNG, JPEG or WebP file, and remove the oldest ones.

        Raises ``PictureError`` or ``DatasetError`` if it cannot be used, ``WriteError`` if it cannot be saved.
        """
        picture = open_picture(Path("The sample"), content)
        if min(picture.size) < LEAST_SIDE:
            raise DatasetError(f"The sample has {picture.width} x {picture.height} pixels. At least {LEAST_SIDE} on "
                               "each side are needed.")
        sample = Sample(self._folder / f"{time.time_ns():016x}{uuid.uuid4().hex[:16]}")
        with writing(sample.folder):
            sample.folder.mkdir(parents=True)
        written = io.BytesIO()
        picture.save(written, "PNG", compress_level=1)
        write_atomically(sample.folder / WHOLE, written.getvalue(), durable=False)
        self._remove_oldest(sample)
        return sample

    def of(self, sample_id: str) -> Sample:
        """The image called ``sample_id``. Raises ``DatasetError`` if it is no longer kept."""
        sample = Sample(self._folder / sample_id)
        if not _ID.fullmatch(sample_id) or not (sample.folder / WHOLE).is_file():
            raise DatasetError("This sample is no longer kept here. Close the window and open it again.")
        return sample

    def _remove_oldest(self, added: Sample) -> None:
        """Keep ``added`` and the newest others. Several can have one time, so names, which begin with it, decide."""
        others = [folder for folder in self._folder.iterdir() if _ID.fullmatch(folder.name) and folder != added.folder]
        for folder in sorted(others, key=lambda one: (one.stat().st_mtime_ns, one.name))[:-(MOST_KEPT - 1)]:
            shutil.rmtree(folder, ignore_errors=True)


def part_file(frame: Frame) -> str:
    """The name of the file with the marked part ``frame``."""
    return f"part-{frame.left}-{frame.top}-{frame.right}-{frame.bottom}.png"


def _with_margin(frame: Frame, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The frame with its margin, and at least ``LEAST_SIDE`` pixels wide and high, inside an image of ``size``."""
    left, right = _widened(frame.left, frame.right, size[0])
    top, bottom = _widened(frame.top, frame.bottom, size[1])
    return left, top, right, bottom


def _widened(start: int, end: int, most: int) -> tuple[int, int]:
    more = max(round(_MARGIN * (end - start)), (LEAST_SIDE - (end - start) + 1) // 2)
    start, end = max(0, start - more), min(most, end + more)
    if end - start < LEAST_SIDE:  # at an edge of the image
        start = max(0, min(start, most - LEAST_SIDE))
        end = min(most, start + LEAST_SIDE)
    return start, end
