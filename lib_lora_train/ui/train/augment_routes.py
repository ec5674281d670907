"""Previews of augmentation on the user's own images."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from PIL import Image
from pydantic import BaseModel, Field

from ...config.check import problems_of
from ...config.load import read_job
from ...errors import ConfigError
from ...files.confine import open_inside
from ...pictures.augment import preview_augmentation
from ..access import dataset_folder, folders_of
from ..pictures import data_url
from ..services import Services

_QUALITY = 85
_LONGEST_SIDE = 384


class AugmentRequest(BaseModel):
    """An image of a dataset folder, the dataset settings, and a seed for the random augmentation."""

    folder: str
    path: str
    settings: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0


def register(router: APIRouter, services: Services) -> None:
    """Add ``/augment/preview``: ``{pictures: [data URI]}``, first unchanged, then as seen in training."""

    def preview(request: AugmentRequest) -> dict[str, Any]:
        folder = dataset_folder(services.host, request.folder)
        values = {**folders_of(services.host, request.settings), "train_data_dir": str(folder)}
        job, problems = read_job({"dataset": values}, source="The form")
        problems += [problem for problem in problems_of(job) if problem.startswith("dataset.")]
        if problems:
            raise ConfigError(problems)
        with open_inside(folder, request.path) as file:
            versions = preview_augmentation(folder / request.path, job.dataset, request.seed, file)
        return {"pictures": [data_uri(version) for version in versions]}

    router.add_api_route("/augment/preview", preview, methods=["POST"])


def data_uri(picture: Image.Image) -> str:
    """Return ``picture`` as the data URI of a small JPEG."""
    small = picture.copy()
    small.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.BICUBIC)
    return data_url(small, "JPEG", quality=_QUALITY)
