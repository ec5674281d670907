"""From the indices of a batch to what a training step takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..config.groups.dataset import DatasetSettings
from ..pictures.buckets import Frame
from ..pictures.scan import Picture
from .captions import BatchPosition, caption_rng, look_rng, plain_caption, train_caption
from .latents import LatentSource
from .plan import TrainingPlan


@dataclass(frozen=True)
class Batch:
    """Pictures of one bucket: scaled latents (B, 4, h, w), float32 on the CPU, and a caption for each.

    ``masks`` (B, 1, h, w) are 0 where a picture is not learned from; None if all of them is. ``frames`` say what each
    picture was cut from.
    """

    latents: Tensor
    captions: list[str]
    pictures: tuple[Picture, ...]
    masks: Tensor | None = None
    frames: tuple[Frame, ...] = ()


def load_batch(plan: TrainingPlan, indices: Sequence[int], latents: LatentSource, settings: DatasetSettings,
               position: BatchPosition | None) -> Batch:
    """The batch of the pictures ``indices``, which share a bucket.

    From ``position`` alone follows everything that is drawn; with None nothing is drawn, as validation wants it.
    """
    pictures = tuple(plan.pictures[index] for index in indices)
    looks = latents.looks(indices, None if position is None else look_rng(position))
    if position is None:
        captions = [plain_caption(picture, settings) for picture in pictures]
    else:
        rng = caption_rng(position)
        captions = [train_caption(picture, settings, rng, position) for picture in pictures]
    corners = looks.corners or (None,) * len(indices)
    frames = tuple(plan.fits[index].frame(picture.width, picture.height, corner)
                   for index, picture, corner in zip(indices, pictures, corners, strict=True))
    return Batch(looks.latents, captions, pictures, looks.masks, frames)
