"""What a finished LoRA's metadata says about the pictures it was trained on."""

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
    """``tag_frequency``: folder → tag in lower case → number of its pictures that have the tag, most frequent first.

    ``regularization_folders`` have the repeats of their names; ``regularization_looks`` is how many looks at such
    pictures an epoch really has.
    """

    folders: tuple[FolderSummary, ...]
    buckets: tuple[BucketSummary, ...]
    tag_frequency: dict[str, dict[str, int]]
    regularization_folders: tuple[FolderSummary, ...] = ()
    regularization_looks: int = 0
    held_out: int = 0


def summarize(dataset: Dataset, plan: TrainingPlan, settings: DatasetSettings) -> DatasetSummary:
    """Count the tags, folders and buckets of what is trained on."""
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
        regularization_looks=sum(picture.repeats for picture in of_class),
        held_out=len(dataset.pictures) - len(trained))


def _folders(concepts: Sequence[Concept], pictures: Sequence[Picture]) -> tuple[FolderSummary, ...]:
    inside = Counter(picture.path.parent for picture in pictures)
    return tuple(FolderSummary(concept.folder.name, concept.repeats, inside[concept.folder]) for concept in concepts)
