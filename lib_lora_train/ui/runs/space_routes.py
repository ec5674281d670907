"""Routes about the disk space of runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from ...errors import ConfigError
from ...pictures.folders import CACHE_FOLDER
from ...runs.folder import TRAIN, all_runs, open_run
from ...runs.job import settings_of
from ...runs.space import delete_states, size_of, space_of
from ..services import Services


@dataclass(frozen=True)
class CacheSpace:
    """The encoded images that runs with ``cache_latents_to_disk`` keep in an image folder. ``folder`` is theirs."""

    folder: str
    bytes: int


class StatesRequest(BaseModel):
    """The runs whose training states are deleted."""

    runs: list[str]


def register(router: APIRouter, services: Services) -> None:
    """Add ``/space`` and ``/space/delete-states``."""

    def space() -> dict[str, Any]:
        return {"runs": [asdict(one) for one in space_of(services.index)],
                "caches": [asdict(one) for one in caches_of(services.runs_dir)]}

    def delete(request: StatesRequest) -> dict[str, Any]:
        runs = [open_run(services.runs_dir, run_id) for run_id in dict.fromkeys(request.runs)]
        return {"freed": delete_states(services.index, runs), **space()}

    router.add_api_route("/space", space, methods=["GET"])
    router.add_api_route("/space/delete-states", delete, methods=["POST"])


def caches_of(runs: Path) -> list[CacheSpace]:
    """Return the space of the encoded images beside the images of all ``runs``, the largest first."""
    found = [CacheSpace(str(folder), size_of(folder)) for folder in dict.fromkeys(_cache_folders(runs))]
    return sorted((one for one in found if one.bytes), key=lambda one: one.bytes, reverse=True)


def _cache_folders(runs: Path) -> Iterator[Path]:
    for run in all_runs(runs):
        try:
            if run.command == TRAIN:
                yield Path(settings_of(run).dataset.train_data_dir) / CACHE_FOLDER
        except ConfigError:
            continue  # the run's view reports its damaged job
