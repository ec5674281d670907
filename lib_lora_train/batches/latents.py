"""Cached latents: images encoded once by the VAE and kept in memory or on disk, keyed by content."""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ..config.groups.dataset import DatasetSettings
from ..errors import CheckpointError, DatasetError
from ..files.atomic import write_atomically
from ..files.reading import reason
from ..files.writing import cannot_write
from ..pictures.augment import FLIP_SHARE
from ..pictures.buckets import Bucket, Fit
from ..pictures.folders import CACHE_FOLDER
from ..pictures.images import (
    PictureError,
    damaged_pictures_error,
    decoded_with_mask,
    decoding_threads,
    fit_to_bucket,
    read_picture_file,
)
from ..pictures.masks.read import darkest, open_mask
from ..pictures.scan import Picture
from .plan import TrainingPlan

_FORMAT = 1
"""Increment when the computation of latents changes, to invalidate the disk cache."""


_OPAQUE = torch.ones(1)
_CHANNELS, _BYTES_OF_VALUE = 4, 4


class Posterior(NamedTuple):
    """The VAE encoder's output: mean and standard deviation, each (B, 4, h, w), before the scale factor."""

    mean: Tensor
    std: Tensor


Encode = Callable[[Tensor], Posterior]
"""Encodes images (B, 3, H, W), float32 on the CPU, -1 to 1; the result may be on any device."""


@dataclass(frozen=True)
class Encoder:
    """The VAE encoder.

    ``identity`` changes whenever the weights or the precision do; it is part of the disk cache's key.
    ``scale_factor`` is 0.18215 for SD 1.x and 2.x, 0.13025 for SDXL. ``encode_in_float32`` is tried once if ``encode``
    gives NaN.
    """

    encode: Encode
    encode_in_float32: Encode
    identity: str
    scale_factor: float


class EncodedImages(NamedTuple):
    """Scaled latents (B, 4, h, w), and masks (B, 1, h, w), 0 where an image is not trained on; None without masks.

    ``corners`` are left and top of each crop in the scaled image; None for centre crops.
    """

    latents: Tensor
    masks: Tensor | None
    corners: tuple[tuple[int, int], ...] | None = None


class LatentSource(Protocol):
    """A source of latents for batches."""

    def latents_of(self, indices: Sequence[int], rng: random.Random | None) -> EncodedImages:
        """The latents of ``indices``, which share a bucket, augmented from ``rng``, or unchanged with None."""
        ...


class LatentStore:
    """Scaled latents of a plan's images by index, in memory or read from the disk cache on demand.

    The parts of an image: ``latent`` (4, h, w), and, if requested, ``flipped``, the latent of the mirrored image, and
    ``mask`` (1, h, w).
    """

    def __init__(self, scale_factor: float) -> None:
        self._scale_factor = scale_factor
        self._held: dict[int, dict[str, Tensor] | Path] = {}
        self.encoded = 0
        self.from_disk = 0

    def __len__(self) -> int:
        return len(self._held)

    def __getitem__(self, index: int) -> Tensor:
        """The latent (4, h, w), float32, multiplied by the scale factor."""
        return self._parts(index)["latent"] * self._scale_factor

    def latents_of(self, indices: Sequence[int], rng: random.Random | None) -> EncodedImages:
        """The latents of ``indices``, which share a bucket; with ``rng``, each is mirrored with probability 0.5.

        Only images with a stored mirrored latent are mirrored.
        """
        latents, masks = [], []
        for index in indices:
            parts = self._parts(index)
            mirrored = rng is not None and "flipped" in parts and rng.random() < FLIP_SHARE
            latents.append(parts["flipped" if mirrored else "latent"] * self._scale_factor)
            mask = parts.get("mask")
            masks.append(mask.flip(-1) if mirrored and mask is not None else mask)
        return EncodedImages(torch.stack(latents), stacked_masks(masks, latents))

    def take(self, other: LatentStore) -> None:
        """Add all latents of ``other``."""
        self._held |= other._held
        self.encoded += other.encoded
        self.from_disk += other.from_disk

    def __contains__(self, index: int) -> bool:
        return index in self._held

    def keep(self, index: int, parts: dict[str, Tensor] | Path) -> None:
        """Store unscaled latents with their mask, or the path of their cache file."""
        self._held[index] = parts

    def black_masks(self) -> list[int]:
        """The images that are completely masked out."""
        return [index for index in sorted(self._held) if not self._parts(index).get("mask", _OPAQUE).any()]

    def _parts(self, index: int) -> dict[str, Tensor]:
        held = self._held[index]
        if not isinstance(held, Path):
            return held
        try:
            return load_file(held)
        except (OSError, SafetensorError) as problem:
            raise DatasetError(f"The encoded image {held} can no longer be read: {reason(problem)}. Resume the run: "
                               "it encodes again what is missing.") from problem


class _Loaded(NamedTuple):
    picture: int
    key: str
    seed: int
    pixels: Tensor | None
    """(3, H, W), -1 to 1; None if the latent is in the disk cache."""
    mask: Tensor | None = None


class Wanted(NamedTuple):
    """What to compute besides the latent: that of the mirrored image, and the mask from alpha channel and file."""

    flipped: bool = False
    alpha: bool = False
    mask_files: bool = False

    @staticmethod
    def by(settings: DatasetSettings) -> Wanted:
        """What ``settings`` require."""
        return Wanted(settings.flip_aug, settings.alpha_mask, settings.masked_loss)

    def parts_of(self, picture: Picture) -> tuple[str, ...]:
        """The names of the stored parts of ``picture``."""
        names = {"latent": True, "flipped": self.flips(picture), "mask": self.masks(picture)}
        return tuple(name for name, is_wanted in names.items() if is_wanted)

    def masks(self, picture: Picture) -> bool:
        """Whether a mask is needed, too."""
        return (self.alpha and picture.has_alpha) or self.mask_file(picture) is not None

    def mask_file(self, picture: Picture) -> Path | None:
        """The mask file that is used for ``picture``."""
        return picture.mask if self.mask_files else None

    def flips(self, picture: Picture) -> bool:
        """Whether the mirrored latent is needed, too: the folder's own setting, or the one for all."""
        return picture.is_mirrored(self.flipped)


LATENT_ALONE = Wanted()


def bytes_of_latents(bucket: Bucket, parts: Sequence[str]) -> int:
    """The size of the named ``parts`` of an image in ``bucket``, in float32."""
    values = bucket.width // 8 * (bucket.height // 8)
    return sum(_BYTES_OF_VALUE * values * (1 if part == "mask" else _CHANNELS) for part in parts)


def cache_folder_of(dataset_folder: Path) -> Path:
    """The folder of a dataset's disk cache, hidden inside it."""
    return dataset_folder / CACHE_FOLDER


def encode_all(plan: TrainingPlan, encoder: Encoder, *, cache_folder: Path | None = None,
               progress: Callable[[int, int], None] | None = None, vae_batch_size: int = 1,
               wanted: Wanted = LATENT_ALONE, pictures: Sequence[int] | None = None) -> LatentStore:
    """Encode every image of ``plan`` once, decoding ahead in threads, or load it from ``cache_folder``.

    ``pictures`` limits this to the images with these indices.

    Stores one sample of the encoder's distribution. Its noise is seeded with a hash of the file, so that an image has
    the same latent in every run, whatever else is in the set; the standard deviation is so small that sampling again
    each epoch would make no difference, and would double the memory.
    ``progress(done, total)`` is called in the calling thread; its exceptions end the work.
    Raises ``DatasetError`` that names every image that cannot be decoded, ``CheckpointError`` if the VAE gives NaN.
    """
    store = LatentStore(encoder.scale_factor)
    damaged: list[PictureError] = []
    waiting: list[_Loaded] = []
    order = [index for indices in plan.by_bucket.values() for index in indices] if pictures is None else pictures
    for done, loaded in enumerate(_load_ahead(plan, order, encoder.identity, cache_folder, wanted), start=1):
        if isinstance(loaded, PictureError):
            damaged.append(loaded)
        elif loaded.pixels is None:
            assert cache_folder is not None
            store.keep(loaded.picture, _cache_file(cache_folder, loaded.key))
            store.from_disk += 1
        elif not damaged:  # after the first damaged image, only check the others
            if waiting and plan.fits[waiting[0].picture].bucket != plan.fits[loaded.picture].bucket:
                waiting = _encode_batch(plan, waiting, encoder, store, cache_folder, wanted)
            waiting.append(loaded)
            if len(waiting) == vae_batch_size:
                waiting = _encode_batch(plan, waiting, encoder, store, cache_folder, wanted)
        if progress is not None:
            progress(done, len(order))
    if damaged:
        raise damaged_pictures_error(damaged)
    if waiting:
        _encode_batch(plan, waiting, encoder, store, cache_folder, wanted)
    return store


def _load_ahead(plan: TrainingPlan, order: Sequence[int], identity: str,
                cache_folder: Path | None, wanted: Wanted) -> Iterator[_Loaded | PictureError]:
    """Load images in order, in threads that read a few in advance."""
    threads = decoding_threads()
    pool = ThreadPoolExecutor(threads)
    pending: deque[Future[_Loaded | PictureError]] = deque()
    try:
        for index in order:
            pending.append(pool.submit(_load, plan, index, identity, cache_folder, wanted))
            if len(pending) > 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _load(plan: TrainingPlan, index: int, identity: str, cache_folder: Path | None,
          wanted: Wanted) -> _Loaded | PictureError:
    picture, fit = plan.pictures[index], plan.fits[index]
    path, names, mask_file = picture.path, wanted.parts_of(picture), wanted.mask_file(picture)
    try:
        content = read_picture_file(path)
        mask_content = None if mask_file is None else read_picture_file(mask_file)
        digest = hashlib.sha256(content)
        seed = int.from_bytes(digest.digest()[:8], "big") >> 1
        of_mask = () if mask_content is None else (hashlib.sha256(mask_content).hexdigest(), f"alpha={wanted.alpha}")
        key = _key(digest.hexdigest(), fit, identity, (*names[1:], *of_mask))
        if cache_folder is not None and _is_cached(_cache_file(cache_folder, key), fit.bucket, names):
            return _Loaded(index, key, seed, None)
        of_file = None if mask_file is None else open_mask(mask_file, path, (picture.width, picture.height),
                                                           mask_content)
        with decoded_with_mask(path, content) as (image, alpha):
            whole = darkest((of_file, alpha if wanted.alpha else None)) or Image.new("L", image.size, 255)
            mask = mask_of(np.asarray(fit_to_bucket(whole, fit))) if "mask" in names else None
            return _Loaded(index, key, seed, pixels_of(fit_to_bucket(image, fit)), mask)
    except PictureError as problem:
        return problem


def pixels_of(picture: Image.Image) -> Tensor:
    """An RGB image as (3, H, W), float32, -1 to 1."""
    pixels = np.asarray(picture, dtype=np.float32) / 127.5 - 1
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def mask_of(alpha: np.ndarray[Any, Any]) -> Tensor:
    """The mean of each 8x8 block of ``alpha`` (H, W), 0 to 255, as (1, h, w), 0 to 1."""
    height, width = alpha.shape
    means = alpha.astype(np.float32).reshape(height // 8, 8, width // 8, 8).mean(axis=(1, 3)) / 255
    return torch.from_numpy(means)[None]


def stacked_masks(masks: Sequence[Tensor | None], latents: Sequence[Tensor]) -> Tensor | None:
    """The masks of a batch, (B, 1, h, w), with ones for images without a mask; None if no image has one."""
    if all(mask is None for mask in masks):
        return None
    return torch.stack([torch.ones_like(latent[:1]) if mask is None else mask
                        for mask, latent in zip(masks, latents, strict=True)])


def _encode_batch(plan: TrainingPlan, batch: Sequence[_Loaded], encoder: Encoder, store: LatentStore,
                  cache_folder: Path | None, wanted: Wanted) -> list[_Loaded]:
    """Encode and store ``batch``; returns an empty list for the next one."""
    pixels = torch.stack([loaded.pixels for loaded in batch if loaded.pixels is not None])
    paths = [plan.pictures[loaded.picture].path for loaded in batch]
    posterior = finite_posterior(paths, pixels, encoder)
    flips = [wanted.flips(plan.pictures[loaded.picture]) for loaded in batch]
    flipped = finite_posterior(paths, pixels.flip(-1), encoder) if any(flips) else posterior
    for loaded, flips_too, mean, std, flipped_mean, flipped_std in zip(batch, flips, *posterior, *flipped, strict=True):
        generator = torch.Generator("cpu").manual_seed(loaded.seed)
        parts = {"latent": mean + std * torch.randn(mean.shape, generator=generator)}
        if flips_too:
            parts["flipped"] = flipped_mean + flipped_std * torch.randn(mean.shape, generator=generator)
        if loaded.mask is not None:
            parts["mask"] = loaded.mask
        store.keep(loaded.picture, parts if cache_folder is None else _write(cache_folder, loaded.key, parts))
        store.encoded += 1
    return []


def finite_posterior(paths: Sequence[Path], pixels: Tensor, encoder: Encoder) -> Posterior:
    """The posterior of ``pixels`` (B, 3, H, W), float32 on the CPU. Raises ``CheckpointError`` if it is not finite."""
    for encode in (encoder.encode, encoder.encode_in_float32):
        mean, std = (part.detach().to("cpu", torch.float32) for part in encode(pixels))
        if torch.isfinite(mean).all() and torch.isfinite(std).all():
            return Posterior(mean, std)
    names = ", ".join(map(str, paths))
    raise CheckpointError(f"The VAE outputs NaN for {names}, in float32 too. Choose another VAE, or remove "
                          f"the image.")


def _key(content_digest: str, fit: Fit, identity: str, rest: Sequence[str]) -> str:
    parts = (_FORMAT, content_digest, fit.bucket.width, fit.bucket.height, fit.resized_width, fit.resized_height,
             *fit.crop, identity, *rest)
    return hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()[:40]


def _cache_file(folder: Path, key: str) -> Path:
    return folder / f"{key}.safetensors"


def _is_cached(file: Path, bucket: Bucket, names: Sequence[str]) -> bool:
    """Whether ``file`` has exactly ``names``, finite and of the right size; damaged entries are encoded again."""
    try:
        parts = load_file(file) if file.is_file() else {}
    except (OSError, SafetensorError):
        return False
    return set(names) == set(parts) and all(
        part.shape[1:] == (bucket.height // 8, bucket.width // 8) and bool(torch.isfinite(part).all())
        for part in parts.values())


def _write(folder: Path, key: str, parts: dict[str, Tensor]) -> Path:
    file = _cache_file(folder, key)
    try:
        folder.mkdir(exist_ok=True)
        write_atomically(file, save({name: part.contiguous() for name, part in parts.items()}))
    except OSError as problem:
        raise DatasetError(f"The encoded images were not saved. {cannot_write(file, problem)} Or switch "
                           "off cache_latents_to_disk.") from problem
    return file
