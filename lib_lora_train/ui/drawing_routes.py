"""Routes of the image generation queue."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from .services import Services


def register(router: APIRouter, services: Services) -> None:
    """Add ``/drawings`` and ``/drawings/ID/cancel``."""

    def queue() -> dict[str, Any]:
        return {"queue": services.drawings.queue()}

    def cancel(drawing_id: str) -> dict[str, Any]:
        services.drawings.cancel(lambda drawing, entry_id: entry_id == drawing_id)
        return queue()

    router.add_api_route("/drawings", queue, methods=["GET"])
    router.add_api_route("/drawings/{drawing_id}/cancel", cancel, methods=["POST"])
