"""What a scan reports on masks: which fit, which do not, and how many images have one."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from ...config.groups.dataset import DatasetSettings
from ..images import PictureError, decoding_threads, read_header
from ..problems import Problem, count_of, names_of
from .read import shape_problem

_SHOWN = 5


class Masked(Protocol):
    """The attributes required of an image: its file, its upright size in pixels, and its mask."""

    @property
    def path(self) -> Path:
        """The file."""
    @property
    def width(self) -> int:
        """Pixels."""
    @property
    def height(self) -> int:
        """Pixels."""
    @property
    def mask(self) -> Path | None:
        """The mask file, if any."""


def mask_problems(pictures: Sequence[Masked], settings: DatasetSettings) -> list[Problem]:
    """An error for masks that cannot be used, and a note on how many images have one.

    Without ``masked_loss`` there is only a note that masks are not images. Reads only the headers of masks.
    """
    masked = [picture for picture in pictures if picture.mask is not None]
    files = tuple(dict.fromkeys(picture.mask for picture in masked if picture.mask is not None))
    if not masked:
        return []
    if not settings.masked_loss:
        them = "it" if len(files) == 1 else "them"
        return [Problem("note", f"{count_of(len(files), 'mask')} found: {names_of(files)}. They are not trained on as "
                                f"images. Switch masked_loss on to use {them} as masks.", files)]
    with ThreadPoolExecutor(decoding_threads()) as pool:
        bad = [problem for problem in pool.map(_problem_with, masked) if problem is not None]
    if bad:
        shown = "\n".join(f"{problem.path}: {problem.reason}" for problem in bad[:_SHOWN])
        more = f"\nand {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        return [Problem("error", f"{count_of(len(bad), 'mask')} cannot be used:\n{shown}{more}",
                        tuple(problem.path for problem in bad))]
    if len(masked) == len(pictures):
        return [Problem("note", f"Each of {count_of(len(pictures), 'image')} has a mask.")]
    bare = [picture.path for picture in pictures if picture.mask is None]
    return [Problem("note", f"{len(masked)} of {count_of(len(pictures), 'image')} have a mask. These do not, and are "
                            f"trained whole: {names_of(bare)}.", tuple(bare))]


def _problem_with(picture: Masked) -> PictureError | None:
    assert picture.mask is not None
    try:
        header = read_header(picture.mask)
    except PictureError as problem:
        return problem
    reason = shape_problem((header.width, header.height), picture.path, (picture.width, picture.height))
    return PictureError(picture.mask, reason) if reason else None
