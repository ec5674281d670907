"""What a finished LoRA's metadata says about the pictures it was trained on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ..config.groups.dataset import DatasetSettings
from .captions import split_tags
from .plan import TrainingPlan
from .scan import Dataset


@dataclass(frozen=True)
class FolderSummary:
    """One folder of pictures: its name without the path, its repeats, and how many pictures it holds."""

    name: str
    repeats: int
    pictures: int


@dataclass(frozen=True)
class BucketSummary:
    """One bucket: its size in pixels, and how many pictures, counted with repeats, are in it."""

    width: int
    height: int
    count: int


@dataclass(frozen=True)
class DatasetSummary:
    """``tag_frequency``: folder → tag in lower case → number of its pictures that have the tag, most frequent first."""

    folders: tuple[FolderSummary, ...]
    buckets: tuple[BucketSummary, ...]
    tag_frequency: dict[str, dict[str, int]]


def summarize(dataset: Dataset, plan: TrainingPlan, settings: DatasetSettings) -> DatasetSummary:
    """Count tags, folders and buckets."""
    counts: dict[str, Counter[str]] = {concept.folder.name: Counter() for concept in dataset.concepts}
    for picture in dataset.pictures:
        tags = {tag.lower() for tag in split_tags(picture.caption, settings.caption_separator)}
        counts[picture.path.parent.name].update(sorted(tags))
    return DatasetSummary(
        folders=tuple(FolderSummary(concept.folder.name, concept.repeats, concept.pictures)
                      for concept in dataset.concepts),
        buckets=tuple(BucketSummary(bucket.width, bucket.height,
                                    sum(plan.pictures[index].repeats for index in indices))
                      for bucket, indices in plan.by_bucket.items()),
        tag_frequency={folder: dict(counter.most_common()) for folder, counter in counts.items()})
