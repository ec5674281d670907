"""The images that saved files are measured on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..batches.batches import Batch, load_batch
from ..batches.held_out import LEAST, trained_on_already
from ..batches.plan import validation_plan_of
from ..config.job import Job
from ..errors import DatasetError
from ..pictures.images import PictureError, check_pictures, damaged_pictures_error
from ..pictures.problems import count_of
from ..pictures.scan import Picture, scan_dataset
from ..runs.diagnosis.epochs import ENLARGED, HELD_OUT, MIRRORED, VERSIONS
from ..training.encoding import encode, unchanged
from ..training.model import TrainedModel
from ..training.reporting.report import Reporter
from .trained_on import Parted, TrainedOn, parted

_ENLARGED = 1.25
"""The middle 64 % of the image: another crop, in which everything is somewhere else."""


@dataclass(frozen=True)
class Chosen:
    """``held_out`` images, or none; ``trained`` ones; and ``left_out``: held out, but nearly a training image.

    ``all_trained`` are the paths of all training images. ``doubt`` says why held-out images may have been trained on,
    ``added`` that they came into the folder after the run. ``missing`` are sentences about damaged images.
    """

    held_out: tuple[Picture, ...]
    trained: tuple[Picture, ...]
    left_out: tuple[Picture, ...] = ()
    all_trained: tuple[Path, ...] = ()
    doubt: str = ""
    added: bool = False
    missing: tuple[str, ...] = ()

    def smallest_side(self, job: Job) -> int:
        """The shortest side of any of their buckets, in pixels."""
        every = (*self.held_out, *self.trained, *self.left_out)
        return validation_plan_of(job.dataset, every, job.training).smallest_side


@dataclass(frozen=True)
class Material:
    """Batches to measure on. ``source`` says what ``held_out`` is, see ``runs.diagnosis.epochs``."""

    source: str
    source_text: str
    held_out: Sequence[Batch] = ()
    trained: Sequence[Batch] = ()
    names: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    doubt: str = ""


def choose_pictures(job: Job, most: int, warn: Callable[[str], None], known: TrainedOn,
                    progress: Callable[[int, int], None] | None = None) -> Chosen:
    """At most ``most`` images of each kind, evenly from the whole; ``known`` is what the run was trained on.

    A held-out image that is nearly the same as a training image is left out, since the LoRA has seen it; so are damaged
    ones. Raises ``DatasetError`` if there are neither training images nor held-out ones.
    """
    given = job.dataset.validation_data_dir
    held_out = _images_in(job, given) if given else ()
    try:
        images = parted(job, scan_dataset(job.dataset), known)
    except DatasetError as problem:
        if not held_out:
            raise
        warn(f"{problem} Only the held-out images are measured.")
        images = Parted((), held_out)
    if held_out:
        images = Parted(images.trained, held_out)
    seen = trained_on_already(images.held_out, images.trained)
    kept = tuple(picture for picture in images.held_out if picture not in seen)
    if images.added and len(kept) < LEAST:
        kept = ()
    damaged: dict[Path, str] = {}
    kept, trained = (_whole(part, most, damaged, progress) for part in (kept, images.trained))
    seen = seen if kept else _whole(seen, most, damaged, progress)
    if damaged and not kept and not trained:
        raise damaged_pictures_error([PictureError(path, why) for path, why in damaged.items()])
    return Chosen(kept, trained, seen, tuple(picture.path for picture in images.trained), images.doubt if kept else "",
                  images.added, tuple(f"{path.name} is not measured: {why}. Save it again from the original, then "
                                      "measure again." for path, why in damaged.items()))


def _whole(pictures: Sequence[Picture], most: int, damaged: dict[Path, str],
           progress: Callable[[int, int], None] | None) -> tuple[Picture, ...]:
    """At most ``most`` of ``pictures``, evenly from all that are not damaged; those found are added to ``damaged``."""
    while True:
        found = _evenly([picture for picture in pictures if picture.path not in damaged], most)
        problems = check_pictures([picture.path for picture in found], progress)
        if not problems:
            return found
        damaged.update({problem.path: problem.reason for problem in problems})


def encoded(job: Job, chosen: Chosen, model: TrainedModel, reporter: Reporter,
            progress: Callable[[int, int], None]) -> Material:
    """``chosen`` as batches of latents, without augmentation.

    Without held-out images, what is nearest to them takes their place: other versions of training images, else mirrored
    ones or, if these were trained on as well, enlarged ones. Raises ``DatasetError`` that names damaged images.
    """
    trained = _batches(job, chosen.trained, model, reporter, progress)
    left_out = tuple(picture.path.name for picture in chosen.left_out)
    if chosen.held_out:
        held_out = _batches(job, chosen.held_out, model, reporter, progress)
        return Material(HELD_OUT, f"{count_of(len(chosen.held_out), 'image')} {_which(chosen)}", held_out, trained,
                        _names(held_out), left_out, chosen.doubt)
    if len(chosen.left_out) >= LEAST:
        versions = _batches(job, chosen.left_out, model, reporter, progress)
        return Material(VERSIONS, f"{len(chosen.left_out)} other versions of training images (nothing else was held "
                        "out)", versions, trained, _names(versions))
    if any(picture.is_mirrored(job.dataset.flip_aug) for picture in chosen.trained):
        enlarged = _batches(job, chosen.trained, model, reporter, progress, enlarged=_ENLARGED)
        return Material(ENLARGED, f"{count_of(len(chosen.trained), 'enlarged training image')} (none was held out, and "
                        "mirrored ones were trained on)", enlarged, trained, _names(enlarged), left_out)
    mirrored = [_mirrored(batch) for batch in trained]
    return Material(MIRRORED, f"{count_of(len(chosen.trained), 'mirrored training image')} (none was held out)",
                    mirrored, trained, _names(mirrored), left_out)


def _which(chosen: Chosen) -> str:
    if chosen.doubt:
        return "that count as held out"
    return "that came into the folder after the run" if chosen.added else "that the LoRA was not trained on"


def _images_in(job: Job, folder: str) -> tuple[Picture, ...]:
    return scan_dataset(dataclasses.replace(job.dataset, train_data_dir=folder, reg_data_dir=None,
                                            conditioning_data_dir=None)).pictures


def _evenly(pictures: Sequence[Picture], most: int) -> tuple[Picture, ...]:
    if len(pictures) <= most:
        return tuple(pictures)
    return tuple(pictures[index * len(pictures) // most] for index in range(most))


def _batches(job: Job, pictures: Sequence[Picture], model: TrainedModel, reporter: Reporter,
             progress: Callable[[int, int], None], enlarged: float = 1.0) -> list[Batch]:
    """``pictures`` in batches, ``enlarged`` so many times and cropped to the same size."""
    if not pictures:
        return []
    plan = validation_plan_of(job.dataset, pictures, job.training)
    fits = tuple(dataclasses.replace(fit, resized_width=round(enlarged * fit.resized_width),
                                     resized_height=round(enlarged * fit.resized_height)) for fit in plan.fits)
    plan = dataclasses.replace(plan, fits=fits)
    latents = encode(plan, model, unchanged(job.dataset), reporter, "Encoding the images", progress)
    return [load_batch(plan, indices, latents, job.dataset, None) for indices in plan.batches_in_order()]


def _mirrored(batch: Batch) -> Batch:
    """The mirrored images. Mirroring latents is close to encoding mirrored images, and the same for each file."""
    masks = None if batch.masks is None else batch.masks.flip(-1)
    return dataclasses.replace(batch, latents=batch.latents.flip(-1), masks=masks)


def _names(batches: Sequence[Batch]) -> tuple[str, ...]:
    return tuple(picture.path.name for batch in batches for picture in batch.pictures)
