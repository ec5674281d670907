"""From the indices of a batch to what a training step takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..config.groups.dataset import DatasetSettings
from .captions import caption_rng, train_caption
from .latents import LatentStore
from .plan import TrainingPlan
from .scan import Picture


@dataclass(frozen=True)
class Batch:
    """Pictures of one bucket: scaled latents (B, 4, h, w), float32 on the CPU, and a caption for each."""

    latents: Tensor
    captions: list[str]
    pictures: tuple[Picture, ...]


def load_batch(plan: TrainingPlan, indices: Sequence[int], latents: LatentStore, settings: DatasetSettings,
               place: tuple[int, int, int] | None) -> Batch:
    """The batch of the pictures ``indices``, which share a bucket.

    ``place`` is (seed, epoch, number of the batch in the epoch), from which alone the shuffling of tags follows;
    with None the captions stay as they are.
    """
    pictures = tuple(plan.pictures[index] for index in indices)
    rng = caption_rng(*place) if place is not None else None
    captions = [train_caption(picture.caption, settings, rng) for picture in pictures]
    return Batch(torch.stack([latents[index] for index in indices]), captions, pictures)
