"""Routes for the regularization images that the webui generates."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from ..services import Services
from .regularization import start_regularization


class RegularizationRequest(BaseModel):
    """The form, and whether prompts keep the trigger word."""

    job: dict[str, Any]
    with_tag: bool = False


def register(router: APIRouter, services: Services) -> None:
    """Add ``/regularization`` and ``/regularization/stop``."""
    desk = services.regularization

    def start(request: RegularizationRequest) -> dict[str, Any]:
        return start_regularization(services, desk, request.job, request.with_tag)

    def stop() -> dict[str, Any]:
        desk.stop()
        return desk.state()

    router.add_api_route("/regularization", desk.state, methods=["GET"])
    router.add_api_route("/regularization", start, methods=["POST"])
    router.add_api_route("/regularization/stop", stop, methods=["POST"])
