"""The summary of a dataset for the metadata of a LoRA file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..config.groups.dataset import DatasetSettings
from ..pictures.caption_files import split_tags
from ..pictures.scan import Concept, Dataset, Picture
from .plan import TrainingPlan


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
        held_out=len(dataset.pictures) - len(trained))


def _folders(concepts: Sequence[Concept], pictures: Sequence[Picture]) -> tuple[FolderSummary, ...]:
    inside = Counter(picture.path.parent for picture in pictures)
    return tuple(FolderSummary(concept.folder.name, concept.repeats, inside[concept.folder]) for concept in concepts)
