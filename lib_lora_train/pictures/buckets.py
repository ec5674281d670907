"""Aspect ratio buckets: the training size of an image, and its crop.

The rules are those of sd-scripts, so that a set has the same buckets there and here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from ..config.groups.dataset import DatasetSettings


@dataclass(frozen=True, order=True)
class Bucket:
    """A training size in pixels."""

    width: int
    height: int


class Frame(NamedTuple):
    """SDXL's size conditioning of an image (Podell et al. 2023, section 2.2), in pixels, in the order of the paper.

    The original size; top and left of the crop in the scaled image; the trained size.
    """

    original_height: int
    original_width: int
    top: int
    left: int
    height: int
    width: int

    @classmethod
    def whole(cls, width: int, height: int) -> Frame:
        """The frame of an uncropped image of that size, as the webui uses for generation."""
        return cls(height, width, 0, 0, height, width)


@dataclass(frozen=True)
class Fit:
    """How an image is fitted to its bucket: scaled to ``resized``, then cropped to the centre."""

    bucket: Bucket
    resized_width: int
    resized_height: int

    @property
    def crop(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the centre crop, in pixels of the scaled image."""
        left = (self.resized_width - self.bucket.width) // 2
        top = (self.resized_height - self.bucket.height) // 2
        return left, top, left + self.bucket.width, top + self.bucket.height

    @property
    def share_cut_off(self) -> float:
        """The fraction of the image's area, 0 to 1, that is cropped away."""
        return 1 - self.bucket.width * self.bucket.height / (self.resized_width * self.resized_height)

    def frame(self, width: int, height: int, corner: tuple[int, int] | None = None) -> Frame:
        """The frame of an original image of ``width`` x ``height``.

        ``corner`` is left and top of the crop in the scaled image, if it is not the centre crop.
        """
        left, top = corner or self.crop[:2]
        return Frame(height, width, top, left, self.bucket.height, self.bucket.width)

    def kept_of(self, width: int, height: int) -> tuple[float, float, float, float]:
        """``crop`` in pixels of the original image of ``width`` x ``height``, for a preview."""
        left, top, right, bottom = self.crop
        across, down = width / self.resized_width, height / self.resized_height
        return left * across, top * down, right * across, bottom * down


@dataclass(frozen=True)
class BucketRule:
    """The bucketing rule of the settings. ``sizes`` are the predefined buckets; empty with ``bucket_no_upscale``."""

    width: int
    height: int
    step: int
    sizes: tuple[Bucket, ...]
    enabled: bool
    no_upscale: bool
    longest: int

    @classmethod
    def of(cls, settings: DatasetSettings) -> BucketRule:
        """The rule of ``settings``. Raises ``ValueError`` if ``settings.resolution`` is invalid."""
        width, height = settings.size
        step = settings.bucket_reso_steps
        sizes: tuple[Bucket, ...] = ()
        if not settings.enable_bucket:
            sizes = (Bucket(width, height),)
        elif not settings.bucket_no_upscale:
            sizes = bucket_sizes(width * height, *settings.bucket_sides, step)
        return cls(width, height, step, sizes, settings.enable_bucket, settings.bucket_no_upscale,
                   max(step, _floor(settings.bucket_sides[1], step)))

    def fit(self, width: int, height: int) -> Fit:
        """The fit of an image of ``width`` x ``height`` pixels."""
        if self.enabled and self.no_upscale:
            return self._fit_without_enlarging(width, height)
        return _cover(width, height, self._nearest(width, height))

    def _nearest(self, width: int, height: int) -> Bucket:
        """The bucket of exactly this size, or else that of the nearest aspect ratio; the narrower one of a tie."""
        exact = Bucket(width, height)
        if exact in self.sizes:
            return exact
        return min(self.sizes, key=lambda size: abs(size.width / size.height - width / height))

    def _fit_without_enlarging(self, width: int, height: int) -> Fit:
        """Downscale to the training area if the image is larger, then crop both sides to multiples of the step.

        An image with a side shorter than one step is upscaled to one step, the smallest trainable size. Panoramas are
        cropped to the centre: no side is longer than ``longest`` (sd-scripts has no such limit here), and the bucket
        is no larger than the training area.
        """
        if width * height > self.width * self.height:
            width, height = self._shrunk(width, height)
        if min(width, height) < self.step:
            scale = self.step / min(width, height)
            width, height = max(self.step, _round(width * scale)), max(self.step, _round(height * scale))
        limit = max(self.step, min(self.longest, _floor(self.width * self.height // self.step, self.step)))
        return Fit(Bucket(*(min(_floor(side, self.step), limit) for side in (width, height))), width, height)

    def _shrunk(self, width: int, height: int) -> tuple[int, int]:
        """The size at the training area with one side a multiple of the step, whichever keeps the ratio better."""
        ratio = width / height
        by_width = _floor(_round(math.sqrt(self.width * self.height * ratio)), self.step)
        by_height = _floor(_round(math.sqrt(self.width * self.height / ratio)), self.step)
        height_for_width = _floor(_round(by_width / ratio), self.step)
        width_for_height = _floor(_round(by_height * ratio), self.step)
        width_error = abs(by_width / height_for_width - ratio) if by_width and height_for_width else math.inf
        height_error = abs(width_for_height / by_height - ratio) if by_height else math.inf
        if width_error < height_error:
            return by_width, _round(by_width / ratio)
        if by_height:
            return _round(by_height * ratio), by_height
        return _round(math.sqrt(self.width * self.height * ratio)), _round(math.sqrt(self.width * self.height / ratio))


def bucket_sizes(area: int, shortest: int, longest: int, step: int) -> tuple[Bucket, ...]:
    """All buckets of about ``area`` pixels with sides from ``shortest`` to ``longest``, multiples of ``step``, sorted.

    ``shortest`` is rounded up and ``longest`` down to a multiple of ``step``, since the VAE takes no other sizes.
    """
    shortest, longest = max(step, -(-shortest // step) * step), max(step, _floor(longest, step))
    square = max(step, _floor(math.isqrt(area), step))
    sizes = {Bucket(square, square)}
    for width in range(shortest, longest + 1, step):
        height = min(longest, _floor(area // width, step))
        if height >= shortest:
            sizes.update((Bucket(width, height), Bucket(height, width)))
    return tuple(sorted(sizes))


def _cover(width: int, height: int, bucket: Bucket) -> Fit:
    """The fit that scales the image to cover ``bucket``."""
    if width / height > bucket.width / bucket.height:
        return Fit(bucket, max(bucket.width, _round(width * bucket.height / height)), bucket.height)
    return Fit(bucket, bucket.width, max(bucket.height, _round(height * bucket.width / width)))


def _floor(pixels: int, step: int) -> int:
    return pixels - pixels % step


def _round(pixels: float) -> int:
    return int(pixels + 0.5)
