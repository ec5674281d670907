"""Settings of the check of what the base knows: the words that are tried, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List

from ..job import Job
from ..setting import setting
from .base import BaseSettings
from .dataset import DatasetSettings
from .network import NetworkSettings
from .tagging import TaggerSettings
from .training import TrainingSettings

MOST_WORDS = 40
_LONGEST_WORD = 300


@dataclass(frozen=True)
class KnowsSettings:
    """The words, and the images that are generated for each."""

    candidates: List[str] = setting(
        [], "Other trigger words or names that are compared with dataset.activation_tag.",
        label="Candidates", view="main",
        advice="The name as the checkpoint may have learned it, such as hatsune miku, and an invented word.")
    traits: List[str] = setting(
        [], "Tags of the subject that are tried one by one. Empty: the most frequent ones of the captions.",
        label="Tags of the subject", view="main")
    prompt: str = setting(
        "", "What every image has in its prompt besides the word, such as 1girl, solo. Images with this alone are what "
        "the others are compared with.",
        label="Prompt", view="main")
    negative_prompt: str = setting("", "What the images should not show.", label="Negative prompt")
    images_per_word: int = setting(
        4, "How many images are generated for each word, each with another seed; 0: none, only the loss is measured.",
        label="Images per word", minimum=0, maximum=16, view="main",
        advice="With fewer than 3, one lucky image decides.")
    sample_steps: int = setting(20, "Sampling steps.", label="Sampling steps", minimum=1, maximum=150)
    cfg_scale: float = setting(
        7.0, "How strictly the prompt is followed.", label="CFG scale", minimum=1.0, maximum=30.0)
    seed: int = setting(
        1, "The seed of the first image of each word.", label="Seed", minimum=0, maximum=4294967295)
    loss_images: int = setting(
        12, "The most images of the set that the loss of each word is measured on. How surprising an image is, is "
        "measured on all.",
        label="Images for the loss", minimum=1, maximum=1000)


@dataclass(frozen=True)
class KnowsJob:
    """The settings of one check, by group. ``tagger.model`` is empty if no tagger is used."""

    base: BaseSettings = field(default_factory=BaseSettings)
    dataset: DatasetSettings = field(default_factory=DatasetSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    tagger: TaggerSettings = field(default_factory=TaggerSettings)
    knows: KnowsSettings = field(default_factory=KnowsSettings)

    @property
    def as_training(self) -> Job:
        """The same base and images as a training job, with the smallest network."""
        return Job(base=self.base, dataset=self.dataset, training=self.training,
                   network=NetworkSettings(network_dim=1, network_alpha=1))


def knows_problems_of(job: KnowsJob) -> list[str]:
    """Every conflict between settings, one sentence each; empty if the job can run."""
    problems = []
    if not job.base.checkpoint.strip():
        problems.append("base.checkpoint is empty. Give the path of the checkpoint.")
    if not job.dataset.train_data_dir.strip():
        problems.append("dataset.train_data_dir is empty. Give the folder with your images.")
    words = [*job.knows.candidates, *job.knows.traits, job.dataset.activation_tag]
    if len(words) > MOST_WORDS:
        problems.append(f"knows.candidates and knows.traits have {len(words)} words together. Give at most "
                        f"{MOST_WORDS}.")
    long = [word for word in words if len(word) > _LONGEST_WORD]
    if long:
        problems.append(f"knows.candidates or knows.traits has {long[0][:60]!r}…, which is longer than "
                        f"{_LONGEST_WORD} characters. Give one word or tag for each entry.")
    return problems
