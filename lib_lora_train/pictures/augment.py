"""Image augmentation: mirroring, colour, random crops and face crops. Free of torch."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from ..config.groups.dataset import DatasetSettings
from .buckets import BucketRule, Fit
from .faces import Face, FaceDetector
from .images import decoded, fit_to_bucket

FLIP_SHARE = 0.5
_COLOUR_SHARE = 0.33
_HUE_DEGREES = 16.0
_GAMMA = (0.95, 1.05)
_PREVIEWS = 7


@dataclass(frozen=True)
class Cut:
    """Crops an image, or its mask of the same size, to its bucket's size.

    ``left``, ``top`` and ``right`` are the margins cut off of the scaled image, in pixels.
    """

    apply: Callable[[Image.Image], Image.Image]
    left: int
    top: int
    right: int

    def __call__(self, image: Image.Image) -> Image.Image:
        """The crop of ``image``."""
        return self.apply(image)

    def corner(self, *, mirrored: bool) -> tuple[int, int]:
        """Left and top of the crop in the scaled image, or in its mirror image."""
        return self.right if mirrored else self.left, self.top


def changes_pixels(settings: DatasetSettings) -> list[str]:
    """The active augmentations that prevent caching of latents; mirroring is not one of them."""
    return [name for name in ("color_aug", "random_crop", "face_crop_aug_range") if getattr(settings, name)]


def draw_cut(picture: Image.Image, fit: Fit, settings: DatasetSettings, faces: Sequence[Face],
             rng: random.Random) -> Cut:
    """A random crop of ``picture`` according to ``settings``: around a face, anywhere, or the centre."""
    if settings.face_range is not None and faces:
        box = _face_box(picture.size, fit, rng.choice(faces), rng.uniform(*settings.face_range))
        scale = fit.bucket.width / (box[2] - box[0])
        return Cut(lambda image: image.resize((fit.bucket.width, fit.bucket.height), Image.Resampling.LANCZOS, box),
                   round(box[0] * scale), round(box[1] * scale), round((picture.width - box[2]) * scale))
    if settings.random_crop:
        left = rng.randint(0, fit.resized_width - fit.bucket.width)
        top = rng.randint(0, fit.resized_height - fit.bucket.height)
        corners = (left, top, left + fit.bucket.width, top + fit.bucket.height)
        size = fit.resized_width, fit.resized_height
        return Cut(lambda image: image.resize(size, Image.Resampling.LANCZOS).crop(corners), left, top,
                   fit.resized_width - fit.bucket.width - left)
    left, top, right, _ = fit.crop
    return Cut(lambda image: fit_to_bucket(image, fit), left, top, fit.resized_width - right)


def draw_colours(picture: Image.Image, rng: random.Random) -> Image.Image:
    """With probability 0.33, shift the hue by up to 16 degrees or apply a gamma of 0.95 to 1.05, as in sd-scripts."""
    if rng.random() >= _COLOUR_SHARE:
        return picture
    if rng.random() < 0.5:
        return turned_hue(picture, rng.uniform(-_HUE_DEGREES, _HUE_DEGREES))
    gamma = rng.uniform(*_GAMMA)
    return picture.point([round(255 * (value / 255) ** gamma) for value in range(256)] * 3)


def turned_hue(picture: Image.Image, degrees: float) -> Image.Image:
    """``picture`` (RGB) with all hues rotated; greys are unchanged."""
    hsv = np.array(picture.convert("HSV"))
    hsv[..., 0] = (hsv[..., 0].astype(np.int16) + round(degrees / 360 * 256)) % 256
    return Image.fromarray(hsv, "HSV").convert("RGB")


def draw_augmented(picture: Image.Image, cut: Cut, settings: DatasetSettings,
              rng: random.Random) -> tuple[Image.Image, bool]:
    """``picture`` cropped and augmented, and whether it was mirrored (then its mask must be mirrored, too)."""
    seen = cut(picture)
    if settings.color_aug:
        seen = draw_colours(seen, rng)
    mirrored = settings.flip_aug and rng.random() < FLIP_SHARE
    return (seen.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else seen), mirrored


def preview_augmentation(path: Path, settings: DatasetSettings, seed: int,
                         file: BinaryIO | None = None) -> list[Image.Image]:
    """The image without augmentation, followed by some augmented versions from ``seed``.

    ``file`` is ``path``, if already open.

    Raises ``PictureError`` if it cannot be decoded, ``ConfigError`` if face crops are requested and no face detector
    is available, ``ValueError`` if the resolution or the face range is invalid.
    """
    with decoded(path, file) as picture:
        fit = BucketRule.of(settings).fit(*picture.size)
        faces = FaceDetector().find(path, picture) if settings.face_range is not None else ()
        versions = [fit_to_bucket(picture, fit)]
        rng = random.Random(f"preview:{seed}")
        for _ in range(_PREVIEWS):
            versions.append(draw_augmented(picture, draw_cut(picture, fit, settings, faces, rng), settings, rng)[0])
    return versions


def _face_box(size: tuple[int, int], fit: Fit, face: Face, factor: float) -> tuple[float, float, float, float]:
    """A window inside the image around ``face``, of the bucket's shape, its shorter side ``factor`` times the face."""
    shorter = min(fit.bucket.width, fit.bucket.height)
    scale = face.side * factor / shorter
    scale = min(scale, size[0] / fit.bucket.width, size[1] / fit.bucket.height)
    width, height = fit.bucket.width * scale, fit.bucket.height * scale
    left = min(max(0.0, face.x - width / 2), size[0] - width)
    top = min(max(0.0, face.y - height / 2), size[1] - height)
    return left, top, left + width, top + height
