"""The training plan: the images of each batch, and the number of steps and epochs."""

from __future__ import annotations

import hashlib
import math
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ..config.groups.dataset import DatasetSettings
from ..config.groups.training import TrainingSettings
from ..errors import ConfigError
from ..pictures.buckets import Bucket, BucketRule, Fit
from ..pictures.scan import Dataset, Picture
from .held_out import held_out_pictures
from .regularization import balanced


@dataclass(frozen=True)
class TrainingPlan:
    """Images in buckets. ``fits[i]`` belongs to ``pictures[i]``; everything else refers to images by index."""

    pictures: tuple[Picture, ...]
    fits: tuple[Fit, ...]
    batch_size: int
    accumulation: int
    max_epochs: int | None
    max_steps: int | None

    @cached_property
    def by_bucket(self) -> dict[Bucket, tuple[int, ...]]:
        """Indices of the images in each bucket, with buckets and indices sorted."""
        found = defaultdict(list)
        for index, fit in enumerate(self.fits):
            found[fit.bucket].append(index)
        return {bucket: tuple(found[bucket]) for bucket in sorted(found)}

    @property
    def smallest_side(self) -> int:
        """The shortest side of any bucket, in pixels."""
        return min(min(bucket.width, bucket.height) for bucket in self.by_bucket)

    @cached_property
    def batches_per_epoch(self) -> int:
        """The sum over buckets of images times repeats over the batch size, rounded up for each bucket."""
        return sum(math.ceil(sum(self.pictures[index].repeats for index in indices) / self.batch_size)
                   for indices in self.by_bucket.values())

    @property
    def steps_per_epoch(self) -> int:
        """Batches over gradient accumulation; the last step of an epoch may accumulate fewer."""
        return math.ceil(self.batches_per_epoch / self.accumulation)

    @property
    def training_images_per_epoch(self) -> int:
        """The training images of an epoch times repeats, without regularization images."""
        return sum(picture.repeats for picture in self.pictures if not picture.regularization)

    @property
    def total_steps(self) -> int:
        """The steps of the run: ``max_train_steps`` if given, otherwise those of all epochs."""
        if self.max_steps is not None:
            return self.max_steps
        assert self.max_epochs is not None
        return self.steps_per_epoch * self.max_epochs

    @property
    def epochs(self) -> int:
        """The number of epochs, the last of which ``max_train_steps`` may cut short."""
        return math.ceil(self.total_steps / self.steps_per_epoch)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of images, captions, repeats, weights and buckets; a run resumes exactly only if it is the same."""
        parts = [(picture.path.parent.name, picture.path.name, picture.repeats, picture.caption, fit,
                  *([] if picture.weight == 1 else [picture.weight]))
                 for picture, fit in zip(self.pictures, self.fits, strict=True)]
        return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()

    def epoch_batches(self, seed: int, epoch: int) -> list[list[int]]:
        """The indices in each batch of an epoch: shuffled within each bucket, split, then shuffled across buckets.

        Depends only on ``seed + epoch`` and the plan.
        """
        rng = random.Random(seed + epoch)
        size = self.batch_size
        batches: list[list[int]] = []
        for indices in self.by_bucket.values():
            repeated = [index for index in indices for _ in range(self.pictures[index].repeats)]
            rng.shuffle(repeated)
            batches += [repeated[start:start + size] for start in range(0, len(repeated), size)]
        rng.shuffle(batches)
        return batches

    def batches_in_order(self) -> list[list[int]]:
        """Every image once, without repeats or shuffling, in batches of one bucket; for validation."""
        size = self.batch_size
        return [list(indices[start:start + size]) for indices in self.by_bucket.values()
                for start in range(0, len(indices), size)]


def plan_of(settings: DatasetSettings, dataset: Dataset, training: TrainingSettings) -> TrainingPlan:
    """The plan for the training images (chosen, and not held out) and the regularization images that balance them.

    Raises ``ConfigError`` if ``training`` has neither epochs nor steps, or no image is chosen; ``ValueError`` if the
    resolution is invalid.
    """
    if training.max_train_epochs is None and training.max_train_steps is None:
        raise ConfigError("training.max_train_epochs and training.max_train_steps are both empty. Give one of them.")
    held_out = set(held_out_pictures(settings, dataset))
    trained = tuple(picture for picture in chosen_pictures(settings, dataset) if picture not in held_out)
    if not trained:
        raise ConfigError("Every image that dataset.only_folders and dataset.min_image_weight choose is held out for "
                          "validation. Choose more images, or lower dataset.validation_split.")
    pictures = trained + balanced(trained, dataset.regularization)
    return TrainingPlan(pictures, fits_of(settings, pictures), settings.train_batch_size,
                        training.gradient_accumulation_steps, training.max_train_epochs, training.max_train_steps)


def chosen_pictures(settings: DatasetSettings, dataset: Dataset) -> tuple[Picture, ...]:
    """The images of ``dataset`` in ``only_folders``, with at least ``min_image_weight``.

    Raises ``ConfigError`` if a folder does not exist, or nothing is left.
    """
    folders = {concept.folder.name for concept in dataset.concepts}
    unknown = [name for name in settings.only_folders if name not in folders]
    if unknown:
        raise ConfigError(f"dataset.only_folders has {', '.join(unknown)}, but {dataset.folder} has no such "
                          f"folder with images. It has: {', '.join(sorted(folders))}.")
    lowest = settings.min_image_weight
    chosen = tuple(picture for picture in dataset.pictures
                   if (not settings.only_folders or picture.path.parent.name in settings.only_folders)
                   and (lowest is None or picture.weight >= lowest))
    if not chosen and lowest is None:
        raise ConfigError(f"dataset.only_folders has {', '.join(settings.only_folders)}, but no image there is trained "
                          "on: each is damaged or has 0 repeats. Choose another folder, or give its images repeats.")
    if not chosen:
        highest = max(picture.weight for picture in dataset.pictures)
        raise ConfigError(f"dataset.min_image_weight is {lowest:g}, but no image that could be trained on has that "
                          f"loss weight; the highest is {highest:g}. Lower it, or give images a higher weight in the "
                          "caption editor.")
    return chosen


def validation_plan_of(settings: DatasetSettings, pictures: Sequence[Picture],
                       training: TrainingSettings) -> TrainingPlan:
    """A plan of the held-out ``pictures`` for ``batches_in_order``, without further holding out or balancing."""
    return TrainingPlan(tuple(pictures), fits_of(settings, pictures), settings.train_batch_size,
                        training.gradient_accumulation_steps, training.max_train_epochs, training.max_train_steps)


def fits_of(settings: DatasetSettings, pictures: Sequence[Picture]) -> tuple[Fit, ...]:
    """The scaling and crop of each image."""
    rule = BucketRule.of(settings)
    return tuple(rule.fit(picture.width, picture.height) for picture in pictures)
