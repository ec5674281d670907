"""Pictures as the VAE sees them: encoded once, kept in memory or on disk, never served for another picture."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ..errors import CheckpointError, DatasetError
from ..runs.files import write_atomically
from .buckets import Bucket, Fit
from .folders import CACHE_FOLDER
from .images import PictureError, damaged_pictures_error, decoding_threads, fit_to_bucket, open_picture
from .plan import TrainingPlan

_FORMAT = 1
"""Counted up when the way from picture to latent changes, so that no latent of the old way is used."""


class Posterior(NamedTuple):
    """What the VAE's encoder says: mean and standard deviation, each (B, 4, h, w), before the scale factor."""

    mean: Tensor
    std: Tensor


Encode = Callable[[Tensor], Posterior]
"""From pictures (B, 3, H, W), float32 on the CPU, -1 to 1, to what the encoder says, on any device."""


@dataclass(frozen=True)
class Encoder:
    """The VAE as the latents need it.

    ``identity`` changes whenever the weights or the precision do (it is part of the disk cache's key).
    ``scale_factor`` is 0.18215 for SD 1.x. ``encode_in_float32`` is tried once where ``encode`` gives NaN.
    """

    encode: Encode
    encode_in_float32: Encode
    identity: str
    scale_factor: float


class LatentStore:
    """Scaled latents of a plan's pictures by index, in memory or read from the disk cache as they are needed."""

    def __init__(self, scale_factor: float) -> None:
        self._scale_factor = scale_factor
        self._held: dict[int, Tensor | Path] = {}
        self.encoded = 0
        self.from_disk = 0

    def __len__(self) -> int:
        return len(self._held)

    def __getitem__(self, index: int) -> Tensor:
        """The latent (4, h, w), float32, multiplied by the scale factor."""
        held = self._held[index]
        latent = load_file(held)["latent"] if isinstance(held, Path) else held
        return latent * self._scale_factor

    def keep(self, index: int, latent: Tensor | Path) -> None:
        """Remember an unscaled latent, or the cache file it stands in."""
        self._held[index] = latent


class _Loaded(NamedTuple):
    picture: int
    key: str
    seed: int
    pixels: Tensor | None
    """(3, H, W), -1 to 1; None if the latent is in the disk cache."""


def cache_folder_of(dataset_folder: Path) -> Path:
    """Where the latents of a dataset are kept on disk: a hidden folder in it."""
    return dataset_folder / CACHE_FOLDER


def encode_all(plan: TrainingPlan, encoder: Encoder, *, cache_folder: Path | None = None,
               progress: Callable[[int, int], None] | None = None, vae_batch_size: int = 1) -> LatentStore:
    """Encode every picture of ``plan`` once, decoding ahead in threads; known ones come from ``cache_folder``.

    What is kept is one sample of the encoder's distribution. Its noise follows from the picture's bytes, so the same
    picture has the same latent in every run, whatever else is in the set; the spread is so small beside the picture
    that drawing anew each epoch would not show, and would double what has to be kept.
    ``progress(done, total)`` is called in the calling thread; what it raises ends the work.
    Raises ``DatasetError`` that names every picture that cannot be decoded, ``CheckpointError`` if the VAE gives NaN.
    """
    store = LatentStore(encoder.scale_factor)
    damaged: list[PictureError] = []
    waiting: list[_Loaded] = []
    order = [index for indices in plan.by_bucket.values() for index in indices]
    for done, loaded in enumerate(_load_ahead(plan, order, encoder.identity, cache_folder), start=1):
        if isinstance(loaded, PictureError):
            damaged.append(loaded)
        elif loaded.pixels is None:
            assert cache_folder is not None
            store.keep(loaded.picture, _cache_file(cache_folder, loaded.key))
            store.from_disk += 1
        elif not damaged:  # after the first damaged picture only the names of the others are wanted
            if waiting and plan.fits[waiting[0].picture].bucket != plan.fits[loaded.picture].bucket:
                waiting = _encode_batch(plan, waiting, encoder, store, cache_folder)
            waiting.append(loaded)
            if len(waiting) == vae_batch_size:
                waiting = _encode_batch(plan, waiting, encoder, store, cache_folder)
        if progress is not None:
            progress(done, len(order))
    if damaged:
        raise damaged_pictures_error(damaged)
    if waiting:
        _encode_batch(plan, waiting, encoder, store, cache_folder)
    return store


def _load_ahead(plan: TrainingPlan, order: Sequence[int], identity: str,
                cache_folder: Path | None) -> Iterator[_Loaded | PictureError]:
    """Load pictures in threads, a few ahead of the one that is asked for."""
    threads = decoding_threads()
    pool = ThreadPoolExecutor(threads)
    pending: deque[Future[_Loaded | PictureError]] = deque()
    try:
        for index in order:
            pending.append(pool.submit(_load, plan, index, identity, cache_folder))
            if len(pending) > 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _load(plan: TrainingPlan, index: int, identity: str, cache_folder: Path | None) -> _Loaded | PictureError:
    path, fit = plan.pictures[index].path, plan.fits[index]
    try:
        content = path.read_bytes()
    except OSError as problem:
        return PictureError(path, f"it cannot be read: {problem.strerror}")
    digest = hashlib.sha256(content)
    seed = int.from_bytes(digest.digest()[:8], "big") >> 1
    key = _key(digest.hexdigest(), fit, identity)
    if cache_folder is not None and _is_cached(_cache_file(cache_folder, key), fit.bucket):
        return _Loaded(index, key, seed, None)
    try:
        picture = open_picture(path, content)
    except PictureError as problem:
        return problem
    pixels = np.asarray(fit_to_bucket(picture, fit), dtype=np.float32) / 127.5 - 1
    return _Loaded(index, key, seed, torch.from_numpy(pixels).permute(2, 0, 1).contiguous())


def _encode_batch(plan: TrainingPlan, batch: Sequence[_Loaded], encoder: Encoder, store: LatentStore,
                  cache_folder: Path | None) -> list[_Loaded]:
    """Encode and keep ``batch``; returns the new, empty, list of what waits."""
    pixels = torch.stack([loaded.pixels for loaded in batch if loaded.pixels is not None])
    posterior = _finite_posterior(plan, batch, pixels, encoder)
    for loaded, mean, std in zip(batch, *posterior, strict=True):
        noise = torch.randn(mean.shape, generator=torch.Generator("cpu").manual_seed(loaded.seed))
        latent = mean + std * noise
        if cache_folder is None:
            store.keep(loaded.picture, latent)
        else:
            store.keep(loaded.picture, _write(cache_folder, loaded.key, latent))
        store.encoded += 1
    return []


def _finite_posterior(plan: TrainingPlan, batch: Sequence[_Loaded], pixels: Tensor, encoder: Encoder) -> Posterior:
    for encode in (encoder.encode, encoder.encode_in_float32):
        mean, std = (part.detach().to("cpu", torch.float32) for part in encode(pixels))
        if torch.isfinite(mean).all() and torch.isfinite(std).all():
            return Posterior(mean, std)
    names = ", ".join(str(plan.pictures[loaded.picture].path) for loaded in batch)
    raise CheckpointError(f"The VAE gives no numbers (NaN) for {names}, in float32 too. Choose another VAE, or "
                          "take the picture out.")


def _key(content_digest: str, fit: Fit, identity: str) -> str:
    parts = (_FORMAT, content_digest, fit.bucket.width, fit.bucket.height, fit.resized_width, fit.resized_height,
             *fit.crop, identity)
    return hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()[:40]


def _cache_file(folder: Path, key: str) -> Path:
    return folder / f"{key}.safetensors"


def _is_cached(file: Path, bucket: Bucket) -> bool:
    """Whether a whole latent of the right size stands in ``file``; a damaged one is made anew."""
    try:
        latent = load_file(file)["latent"]
    except (FileNotFoundError, SafetensorError, KeyError):
        return False
    return latent.shape[1:] == (bucket.height // 8, bucket.width // 8) and bool(torch.isfinite(latent).all())


def _write(folder: Path, key: str, latent: Tensor) -> Path:
    file = _cache_file(folder, key)
    try:
        folder.mkdir(exist_ok=True)
        write_atomically(file, save({"latent": latent.contiguous()}))
    except OSError as problem:
        raise DatasetError(f"The encoded pictures cannot be kept in {folder}: {problem.strerror}. Make room or make it "
                           "writable, or switch off cache_latents_to_disk.") from problem
    return file
