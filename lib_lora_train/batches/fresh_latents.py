"""Latents of images that are augmented each time they are seen, and therefore encoded each time."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..config.groups.dataset import DatasetSettings
from ..pictures.augment import draw_augmented, draw_cut
from ..pictures.faces import FaceDetector
from ..pictures.images import PictureError, damaged_pictures_error, decoded_with_mask, decoding_threads, fit_to_bucket
from ..pictures.masks.read import darkest, open_mask
from .latents import EncodedImages, Encoder, Wanted, finite_posterior, mask_of, pixels_of, stacked_masks
from .plan import TrainingPlan


class _Augmented(NamedTuple):
    """One augmented image (3, H, W), its mask, the seed of its noise, and left and top of the crop."""

    pixels: Tensor
    mask: Tensor | None
    seed: int
    corner: tuple[int, int]


class FreshLatents:
    """Latents of a plan's images, decoded, augmented and encoded on each request."""

    def __init__(self, plan: TrainingPlan, encoder: Encoder, settings: DatasetSettings) -> None:
        """Raises ``ConfigError`` if face crops are requested and no face detector is available."""
        self._plan = plan
        self._encoder = encoder
        self._settings = settings
        self._wanted = Wanted.by(settings)
        self._faces = FaceDetector() if settings.face_range is not None else None
        self._pool = ThreadPoolExecutor(decoding_threads(), thread_name_prefix="augmentation")

    def check(self, progress: Callable[[int, int], None]) -> list[Path]:
        """Decode every image and mask once; returns the images that are completely masked out.

        Raises ``DatasetError`` that names the damaged files.
        """
        damaged, black = [], []
        pictures = self._plan.pictures
        for done, (picture, found) in enumerate(zip(pictures, self._pool.map(self._is_black, range(len(pictures))),
                                                    strict=True), start=1):
            if isinstance(found, PictureError):
                damaged.append(found)
            elif found:
                black.append(picture.path)
            progress(done, len(pictures))
        if damaged:
            raise damaged_pictures_error(damaged)
        return black

    def _is_black(self, index: int) -> bool | PictureError:
        """Whether all of an image is masked out, or why it cannot be decoded."""
        try:
            of_file = self._mask_file(index)
            with decoded_with_mask(self._plan.pictures[index].path) as (_, alpha):
                mask = darkest((of_file, alpha if self._wanted.alpha else None))
                return mask is not None and mask.getbbox() is None
        except PictureError as problem:
            return problem

    def _mask_file(self, index: int) -> Image.Image | None:
        """The image's mask file at the size of the image, if it is used."""
        picture = self._plan.pictures[index]
        file = self._wanted.mask_file(picture)
        return None if file is None else open_mask(file, picture.path, (picture.width, picture.height))

    def without_face(self, progress: Callable[[int, int], None]) -> list[Path]:
        """The images without a detected face, which get no face crop; requires ``face_crop_aug_range``."""
        assert self._faces is not None
        missing = []
        for done, picture in enumerate(self._plan.pictures, start=1):
            with decoded_with_mask(picture.path) as (image, _):
                if not self._faces.find(picture.path, image):
                    missing.append(picture.path)
            progress(done, len(self._plan.pictures))
        return missing

    def latents_of(self, indices: Sequence[int], rng: random.Random | None) -> EncodedImages:
        """The latents of ``indices``, which share a bucket, augmented from ``rng``, or unchanged with None."""
        streams = [None if rng is None else random.Random(rng.getrandbits(64)) for _ in indices]
        loaded = list(self._pool.map(self._load, indices, streams))
        pixels = torch.stack([image.pixels for image in loaded])
        posterior = finite_posterior([self._plan.pictures[index].path for index in indices], pixels, self._encoder)
        latents = []
        for mean, std, image in zip(*posterior, loaded, strict=True):
            noise = torch.randn(mean.shape, generator=torch.Generator("cpu").manual_seed(image.seed))
            latents.append((mean + std * noise) * self._encoder.scale_factor)
        return EncodedImages(torch.stack(latents), stacked_masks([image.mask for image in loaded], latents),
                             tuple(image.corner for image in loaded))

    def _load(self, index: int, rng: random.Random | None) -> _Augmented:
        picture, fit = self._plan.pictures[index], self._plan.fits[index]
        of_file = self._mask_file(index)
        with decoded_with_mask(picture.path) as (image, alpha):
            whole = darkest((of_file, alpha if self._wanted.alpha else None))
            if rng is None:
                seen, mirrored, seed, corner = fit_to_bucket(image, fit), False, index, fit.crop[:2]
                mask = fit_to_bucket(whole, fit) if whole is not None else None
            else:
                faces = self._faces.find(picture.path, image) if self._faces is not None else ()
                cut = draw_cut(image, fit, self._settings, faces, rng)
                settings = dataclasses.replace(self._settings, flip_aug=picture.is_mirrored(self._settings.flip_aug))
                seen, mirrored = draw_augmented(image, cut, settings, rng)
                mask, corner = cut(whole) if whole is not None else None, cut.corner(mirrored=mirrored)
                seed = rng.getrandbits(63)
            if mask is None:
                return _Augmented(pixels_of(seen), None, seed, corner)
            found = mask_of(np.asarray(mask))
            return _Augmented(pixels_of(seen), found.flip(-1) if mirrored else found, seed, corner)
