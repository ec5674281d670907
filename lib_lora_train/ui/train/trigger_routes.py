"""The route that sets the trigger word of a dataset folder."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from ..access import dataset_folder
from ..services import Services


class TriggerRequest(BaseModel):
    """A dataset folder and its trigger word, empty for none."""

    folder: str
    word: str


def register(router: APIRouter, services: Services) -> None:
    """Add ``/dataset/trigger-word``."""

    def keep(request: TriggerRequest) -> dict[str, Any]:
        folder = dataset_folder(services.host, request.folder)
        services.trigger_words.set_word(folder, request.word)
        return {"folder": str(folder), "word": request.word}

    router.add_api_route("/dataset/trigger-word", keep, methods=["POST"])
