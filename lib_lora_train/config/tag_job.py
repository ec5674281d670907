"""A tag job: all settings of one tagging run, as one YAML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .groups.dataset import CAPTION_ENDINGS
from .groups.tagging import (
    INSTEAD_OF_TAGS,
    NO_PROSE,
    RATING,
    CaptionWriteSettings,
    ProseSettings,
    TagDatasetSettings,
    TaggerSettings,
    TagRuleSettings,
)
from .load import load_values, read_settings


@dataclass(frozen=True)
class TagJob:
    """The settings of one tagging run, by group."""

    dataset: TagDatasetSettings = field(default_factory=TagDatasetSettings)
    tagger: TaggerSettings = field(default_factory=TaggerSettings)
    tags: TagRuleSettings = field(default_factory=TagRuleSettings)
    prose: ProseSettings = field(default_factory=ProseSettings)
    write: CaptionWriteSettings = field(default_factory=CaptionWriteSettings)

    @property
    def describes(self) -> bool:
        """Whether images are described in sentences."""
        return self.prose.captioner != NO_PROSE

    @property
    def tags_images(self) -> bool:
        """Whether a tagger is used."""
        return not (self.describes and self.prose.place == INSTEAD_OF_TAGS)


def load_tag_job(path: Path, overrides: Sequence[str] = ()) -> TagJob:
    """Read the tag job file ``path``; each of ``overrides`` is ``group.name=value`` and wins over the file.

    Raises ``ConfigError`` that lists every problem.
    """
    return tag_job_from(load_values(path, overrides, TagJob), source=str(path))


def tag_job_from(values: Mapping[str, Any], *, source: str = "The tag job") -> TagJob:
    """A checked ``TagJob`` from nested plain values. Raises ``ConfigError`` that lists every problem at once."""
    job, problems = read_settings(TagJob, _without_former(values), source=source)
    problems = problems or tag_problems_of(job)
    if problems:
        raise ConfigError(problems)
    return job


def _without_former(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """``values`` of an earlier version, where ``tags.rating_tag`` was a switch, as categories of tags."""
    tags = values.get("tags") if isinstance(values, Mapping) else None
    if not isinstance(tags, Mapping) or "rating_tag" not in tags:
        return values
    kept = {name: value for name, value in tags.items() if name != "rating_tag"}
    if str(tags["rating_tag"]).lower() == "true" and "categories" not in kept:
        kept["categories"] = [*TagRuleSettings().categories, RATING]
    return {**values, "tags": kept}


def tag_problems_of(job: TagJob) -> list[str]:
    """Every conflict between settings, one sentence each; empty if the job can run."""
    dataset, tags = job.dataset, job.tags
    problems = []
    if not dataset.train_data_dir.strip():
        problems.append("dataset.train_data_dir is empty. Give the folder with the images.")
    if dataset.caption_extension.lower() not in CAPTION_ENDINGS:
        problems.append(f"dataset.caption_extension is {dataset.caption_extension!r}. Write one of "
                        f"{', '.join(CAPTION_ENDINGS)}, with its dot.")
    if not dataset.caption_separator.strip():
        problems.append(f"dataset.caption_separator is {dataset.caption_separator!r}. Tags need a character between "
                        "them, such as a comma.")
    if not job.tagger.model.strip():
        problems.append("tagger.model is empty. Give the name of a tagger, or the path of an ONNX file.")
    for name in ("always_first_tags", "exclude_tags"):
        wrong = [tag for tag in getattr(tags, name) if dataset.caption_separator.strip() in tag or not tag.strip()]
        if wrong and dataset.caption_separator.strip():
            problems.append(f"tags.{name} has {wrong[0]!r}. Give each tag by itself, without the separator "
                            f"{dataset.caption_separator!r}.")
    return problems
