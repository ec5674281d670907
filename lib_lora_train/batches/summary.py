"""The summary of a dataset for the metadata of a LoRA file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config.groups.dataset import DatasetSettings
from ..pictures.caption_files import split_tags
from ..pictures.scan import Concept, Dataset, Picture
from .held_out import held_out_pictures
from .plan import TrainingPlan
from .timeline import TrainingPhase


@dataclass(frozen=True)
class FolderSummary:
    """A folder of images: its name without the path, its repeats, and its number of images."""

    name: str
    repeats: int
    pictures: int


@dataclass(frozen=True)
class BucketSummary:
    """A bucket: its size in pixels, and its number of images times repeats."""

    width: int
    height: int
    count: int


@dataclass(frozen=True)
class DatasetSummary:
    """The summary. ``tag_frequency``: folder → lower-case tag → number of images with the tag, most frequent first.

    ``regularization_folders`` have the repeats of their names; ``regularization_images`` is the actual number of
    regularization images seen per epoch.
    """

    folders: tuple[FolderSummary, ...]
    buckets: tuple[BucketSummary, ...]
    tag_frequency: dict[str, dict[str, int]]
    regularization_folders: tuple[FolderSummary, ...] = ()
    regularization_images: int = 0
    held_out: int = 0


def summarize(dataset: Dataset, plan: TrainingPlan, settings: DatasetSettings) -> DatasetSummary:
    """Count the tags, folders and buckets of the training images."""
    trained = [picture for picture in plan.pictures if not picture.regularization]
    of_class = [picture for picture in plan.pictures if picture.regularization]
    counts: dict[str, Counter[str]] = {concept.folder.name: Counter() for concept in dataset.concepts}
    for picture in trained:
        tags = {tag.lower() for tag in split_tags(picture.caption, settings.caption_separator)}
        counts[picture.path.parent.name].update(sorted(tags))
    return DatasetSummary(
        folders=_folders(dataset.concepts, trained),
        buckets=tuple(BucketSummary(bucket.width, bucket.height,
                                    sum(plan.pictures[index].repeats for index in indices))
                      for bucket, indices in plan.by_bucket.items()),
        tag_frequency={folder: dict(counter.most_common()) for folder, counter in counts.items()},
        regularization_folders=_folders(dataset.regularization_concepts, of_class),
        regularization_images=sum(picture.repeats for picture in of_class),
        held_out=len(held_out_pictures(settings, dataset)))


def summarize_phases(phases: Sequence[TrainingPhase]) -> DatasetSummary:
    """The images of all ``phases`` together: what any of them trains on counts, and once.

    Repeats, buckets and regularization images are those of the first phase that has them.
    """
    first, *others = [summarize(phase.dataset, phase.plan, phase.job.dataset) for phase in phases]
    if not others:
        return first
    captions: dict[str, dict[Path, set[str]]] = {name: {} for name in first.tag_frequency}
    pictures: dict[Path, Picture] = {}
    for phase in phases:
        for picture in phase.plan.pictures:
            pictures.setdefault(picture.path, picture)
            if not picture.regularization:
                tags = captions.setdefault(picture.path.parent.name, {}).setdefault(picture.path, set())
                tags.update(tag.lower() for tag in split_tags(picture.caption, phase.job.dataset.caption_separator))
    counts = {folder: Counter(sorted(tag for tags in images.values() for tag in tags))
              for folder, images in captions.items()}
    buckets = {(bucket.width, bucket.height): bucket for one in reversed((first, *others)) for bucket in one.buckets}
    trained = [picture for picture in pictures.values() if not picture.regularization]
    of_class = [picture for picture in pictures.values() if picture.regularization]
    dataset = phases[0].dataset
    return DatasetSummary(
        folders=_folders(dataset.concepts, trained), buckets=tuple(buckets[size] for size in sorted(buckets)),
        tag_frequency={folder: dict(counter.most_common()) for folder, counter in counts.items()},
        regularization_folders=_folders(dataset.regularization_concepts, of_class),
        regularization_images=sum(picture.repeats for picture in of_class), held_out=first.held_out)


def _folders(concepts: Sequence[Concept], pictures: Sequence[Picture]) -> tuple[FolderSummary, ...]:
    inside = Counter(picture.path.parent for picture in pictures)
    return tuple(FolderSummary(concept.folder.name, concept.repeats, inside[concept.folder]) for concept in concepts)
