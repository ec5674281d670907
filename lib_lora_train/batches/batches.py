"""Loading of a batch for a training step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..config.groups.dataset import DatasetSettings
from ..pictures.buckets import Frame
from ..pictures.scan import Picture
from .captions import BatchPosition, augmentation_rng, caption_rng, plain_caption, train_caption
from .latents import LatentSource
from .plan import TrainingPlan


@dataclass(frozen=True)
class Batch:
    """Images of one bucket: scaled latents (B, 4, h, w), float32 on the CPU, and a caption for each.

    ``masks`` (B, 1, h, w) are 0 where the loss is masked out; None without masks. ``frames`` are SDXL's size
    conditioning.
    """

    latents: Tensor
    captions: list[str]
    pictures: tuple[Picture, ...]
    masks: Tensor | None = None
    frames: tuple[Frame, ...] = ()


def load_batch(plan: TrainingPlan, indices: Sequence[int], latents: LatentSource, settings: DatasetSettings,
               position: BatchPosition | None) -> Batch:
    """The batch of the images ``indices``, which share a bucket.

    All randomness follows from ``position``; with None there is none, as for validation.
    """
    pictures = tuple(plan.pictures[index] for index in indices)
    encoded = latents.latents_of(indices, None if position is None else augmentation_rng(position))
    if position is None:
        captions = [plain_caption(picture, settings) for picture in pictures]
    else:
        rng = caption_rng(position)
        captions = [train_caption(picture, settings, rng, position) for picture in pictures]
    corners = encoded.corners or (None,) * len(indices)
    frames = tuple(plan.fits[index].frame(picture.width, picture.height, corner)
                   for index, picture, corner in zip(indices, pictures, corners, strict=True))
    return Batch(encoded.latents, captions, pictures, encoded.masks, frames)
