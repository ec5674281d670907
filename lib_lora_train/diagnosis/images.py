"""The training images as batches for measuring: any of them, each with any caption, without augmentation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image

from ..batches.batches import Batch, load_batch
from ..batches.captions import plain_caption
from ..batches.latents import LatentSource
from ..batches.plan import TrainingPlan
from ..config.groups.dataset import DatasetSettings
from ..pictures.buckets import Bucket
from ..pictures.caption_files import join_tags, split_tags
from ..pictures.duplicates.files import fine_image
from .looks import Look, looks_of

_MOST_KEPT = 256
"""Encoded images that are kept here; the latents of a run without augmentation are kept by their source anyway."""


EMPTY, SWAP, TAG = "empty", "swap", "tag"


@dataclass(frozen=True)
class CaptionTest:
    """A measurement of ``image`` with an empty caption, that of the image ``caption_of``, or without ``tag``."""

    kind: str
    image: int
    caption_of: int = -1
    tag: str = ""


@dataclass(frozen=True)
class Row:
    """An image and the caption that it is measured with."""

    image: int
    caption: str


class MeasuredImages:
    """The training images of a plan, without regularization images, which come last in it."""

    def __init__(self, plan: TrainingPlan, latents: LatentSource, settings: DatasetSettings) -> None:
        self._plan, self._latents, self._settings = plan, latents, settings
        self._kept: dict[int, Batch] = {}
        self._looks: dict[int, Look] | None = None
        self.count = sum(not picture.regularization for picture in plan.pictures)

    def caption(self, image: int) -> str:
        """The caption without shuffling, dropout or warmup."""
        return plain_caption(self._plan.pictures[image], self._settings)

    def caption_of(self, test: CaptionTest) -> str:
        """The caption that ``test`` measures."""
        if test.kind == EMPTY:
            return ""
        if test.kind == SWAP:
            return self.caption(test.caption_of)
        return caption_without(self.caption(test.image), test.tag, self._settings)

    def bucket(self, image: int) -> Bucket:
        """The size that the image is trained at."""
        return self._plan.fits[image].bucket

    def load(self, images: Sequence[int]) -> None:
        """Encode ``images``, if they are not encoded yet."""
        for image in images:
            self._batch(image)

    def read(self, between: Callable[[], object]) -> dict[int, Look]:
        """What the files look like, by image; they are read only once. ``between`` is called before each."""
        if self._looks is None:
            self._looks = looks_of([self._plan.pictures[image].path for image in range(self.count)], between)
        return self._looks

    def fine(self, image: int) -> Image.Image | None:
        """The file of an image at the size that crops are compared at; ``None`` if it cannot be read now."""
        return fine_image(self._plan.pictures[image].path)

    def batches(self, rows: Sequence[Row], size: int) -> Iterator[tuple[list[int], Batch]]:
        """``rows`` in batches of at most ``size`` and of one bucket, each with the places of its rows in ``rows``."""
        by_bucket: dict[Bucket, list[int]] = defaultdict(list)
        for place, row in enumerate(rows):
            by_bucket[self.bucket(row.image)].append(place)
        for places in by_bucket.values():
            for start in range(0, len(places), size):
                chosen = places[start:start + size]
                yield chosen, self._joined([rows[place] for place in chosen])

    def _joined(self, rows: Sequence[Row]) -> Batch:
        parts = [self._batch(row.image) for row in rows]
        masks = None
        if any(part.masks is not None for part in parts):
            masks = torch.cat([torch.ones_like(part.latents[:, :1]) if part.masks is None else part.masks
                               for part in parts])
        return Batch(torch.cat([part.latents for part in parts]), [row.caption for row in rows],
                     tuple(part.pictures[0] for part in parts), masks, tuple(part.frames[0] for part in parts))

    def _batch(self, image: int) -> Batch:
        found = self._kept.get(image)
        if found is None:
            found = load_batch(self._plan, [image], self._latents, self._settings, None)
            if len(self._kept) < _MOST_KEPT:
                self._kept[image] = replace(found, latents=found.latents.clone())
        return found


def caption_without(caption: str, tag: str, settings: DatasetSettings) -> str:
    """``caption`` without ``tag``, wherever it is in it."""
    return join_tags([other for other in split_tags(caption, settings.caption_separator) if other != tag],
                     settings.caption_separator)
