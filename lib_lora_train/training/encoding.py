"""The images of a run as latents: encoded once or, if augmentation changes them, at each use."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..batches.first_use_latents import FirstUseLatents
from ..batches.fresh_latents import FreshLatents
from ..batches.latents import (
    Encoder,
    LatentSource,
    LatentStore,
    Posterior,
    Wanted,
    bytes_of_latents,
    cache_folder_of,
    encode_all,
)
from ..batches.plan import TrainingPlan
from ..config.groups.dataset import DatasetSettings
from ..errors import DatasetError
from ..files.walk import files_below
from ..models.hashes import file_sha256
from ..pictures.augment import changes_pixels
from ..pictures.images import check_pictures, damaged_pictures_error
from ..pictures.problems import names_of
from ..runs.control import RunControl
from .holding import Boundary
from .model import TrainedModel
from .reporting.report import Reporter


class StoppedEarly(Exception):
    """A stop was requested before the first step, when there is nothing to save yet."""


def progress_until_stop(control: RunControl, boundary: Boundary, reporter: Reporter) -> Callable[[int, int], None]:
    """A callback that reports progress, pauses while the run is held, and raises ``StoppedEarly`` on a stop request."""
    def progress(done: int, total: int) -> None:
        boundary.wait()
        if control.asked("stop"):
            raise StoppedEarly
        reporter.progress(done, total)

    return progress


def unchanged(settings: DatasetSettings) -> DatasetSettings:
    """``settings`` for images that are only evaluated: without flips, color changes and random crops."""
    return dataclasses.replace(settings, flip_aug=False, color_aug=False, random_crop=False, face_crop_aug_range="")


def latents_of(plan: TrainingPlan, model: TrainedModel, settings: DatasetSettings, reporter: Reporter,
               progress: Callable[[int, int], None]) -> LatentSource:
    """The latents to train on. Reports a warning if they cannot be cached.

    Raises ``DatasetError`` that names damaged images, ``ConfigError`` if face crops are on but cannot be made.
    """
    changing = changes_pixels(settings)
    if not changing and encodes_at_first_use(settings, model.device):
        return _at_first_use(plan, model, settings, reporter, progress)
    if not changing:
        return encode(plan, model, settings, reporter, "Encoding the images", progress)
    reporter.warning(f"With {' and '.join(changing)}, images change every time and cannot be cached: each step "
                     f"encodes its own, which is slower, and the VAE stays in memory.")
    fresh = FreshLatents(plan, encoder_of(model, reporter, ""), settings)
    reporter.phase("latents", "Checking the images", total=len(plan.pictures))
    _report_black_masks(plan, fresh.check(progress), reporter)
    if settings.face_range is not None:
        reporter.phase("faces", "Detecting faces", total=len(plan.pictures))
        _report_faces(len(plan.pictures), fresh.without_face(progress), reporter)
    return fresh


def encodes_at_first_use(settings: DatasetSettings, device: torch.device) -> bool:
    """Whether images are encoded when they are first trained on, rather than all before the first step.

    On a GPU the VAE would have to stay there. Latents cached on disk, and masks, of which empty ones are reported
    before the first step, are created at once.
    """
    return device.type == "cpu" and not settings.cache_latents_to_disk and not settings.uses_masks


def _at_first_use(plan: TrainingPlan, model: TrainedModel, settings: DatasetSettings, reporter: Reporter,
                  progress: Callable[[int, int], None]) -> FirstUseLatents:
    reporter.phase("latents", "Checking the images", total=len(plan.pictures))
    damaged = check_pictures([picture.path for picture in plan.pictures], progress)
    if damaged:
        raise damaged_pictures_error(damaged)
    reporter.say("Each image is encoded when it is first trained on, so steps of the first epoch take longer.")
    return FirstUseLatents(plan, encoder_of(model, reporter, ""), Wanted(settings.flip_aug), model.base.drop_encoder)


def _report_faces(count: int, without: list[Path], reporter: Reporter) -> None:
    """Report how many of ``count`` images are cropped around a face; those ``without`` a face are not."""
    if len(without) == count:
        reporter.warning(f"dataset.face_crop_aug_range has no effect: no face was detected in any of the {count} "
                         "images. OpenCV finds photographed faces that look at the camera, and few drawn ones.")
    elif without:
        reporter.warning(f"A face was detected in {count - len(without)} of {count} images, which are cropped around "
                         f"it. These are trained uncropped: {names_of(without)}.")
    else:
        reporter.say(f"A face was detected in each of {count} images, and they are cropped around it.")


def encode(plan: TrainingPlan, model: TrainedModel, settings: DatasetSettings, reporter: Reporter, text: str,
           progress: Callable[[int, int], None]) -> LatentStore:
    """Latents of a plan's images, encoded once; the VAE is on the accelerator only meanwhile."""
    vae = model.base.vae
    model.base.bring(vae, model.device)  # it has its encoding dtype only on the accelerator
    identity, cache_folder = "", None
    if settings.cache_latents_to_disk:
        cache_folder = cache_folder_of(Path(settings.train_data_dir))
        _check_space(cache_folder, plan, Wanted.by(settings))
        identity = f"{file_sha256(model.base.vae_file or model.base.checkpoint)}:{vae.dtype}"
    reporter.phase("latents", text, total=len(plan.pictures))
    store = encode_all(plan, encoder_of(model, reporter, identity), cache_folder=cache_folder, progress=progress,
                       wanted=Wanted.by(settings))
    if settings.uses_masks:
        _report_black_masks(plan, [plan.pictures[index].path for index in store.black_masks()], reporter)
    if model.device.type != "cpu":
        model.base.put_away(vae)
        if model.device.type == "cuda":
            torch.cuda.empty_cache()
    return store


def _check_space(cache_folder: Path, plan: TrainingPlan, wanted: Wanted) -> None:
    """Raise ``DatasetError`` if the latents of ``plan`` need more space in ``cache_folder`` than there is.

    What is cached there already is taken for a part of them; else writing them says so.
    """
    needed = sum(bytes_of_latents(fit.bucket, wanted.parts_of(picture))
                 for picture, fit in zip(plan.pictures, plan.fits, strict=True))
    needed -= sum(entry.stat().st_size for entry in files_below(cache_folder))
    free = shutil.disk_usage(cache_folder.parent).free
    if needed > free:
        raise DatasetError(f"The latents of the images need about {needed / 1e6:.0f} MB in {cache_folder}, but "
                           f"{free / 1e6:.0f} MB are free. Free some space, or switch off "
                           "dataset.cache_latents_to_disk.")


def _report_black_masks(plan: TrainingPlan, black: list[Path], reporter: Reporter) -> None:
    """Report images whose mask is black or entirely transparent. Raises ``DatasetError`` if all images are."""
    if len(black) == len(plan.pictures):
        raise DatasetError(f"All masks are black everywhere, or the images entirely transparent: {names_of(black)}. "
                           "White parts of a mask are trained on. Invert the masks, or switch masked_loss and "
                           "alpha_mask off.")
    if black:
        reporter.warning("Nothing is learned from images whose mask is black everywhere, or which are entirely "
                         f"transparent: {names_of(black)}.")


def encoder_of(model: TrainedModel, reporter: Reporter, identity: str) -> Encoder:
    """The VAE as an encoder of latents, moved to the accelerator when it is used."""
    vae, device = model.base.vae, model.device

    def encode_pixels(pixels: Tensor) -> Posterior:
        model.base.bring(vae, device)
        with torch.no_grad():
            spread = vae.encode(pixels.to(device, vae.dtype), return_dict=False)[0]
        return Posterior(spread.mean, spread.std)

    def encode_in_float32(pixels: Tensor) -> Posterior:
        reporter.warning("The VAE gave NaN, so it runs in float32 from now on.")
        vae.to(torch.float32)
        return encode_pixels(pixels)

    return Encoder(encode_pixels, encode_in_float32, identity, model.base.family.latent_scale)
