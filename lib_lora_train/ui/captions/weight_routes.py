"""The route that sets loss weight and repeats of images."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from ...captions.editor.weights import set_weights
from .answers import Find, edit
from .requests import NumbersRequest, named


class WeightRequest(NumbersRequest):
    """The new loss weight and repeats of the images ``numbers``; ``None`` keeps what each has."""

    weight: float | None = None
    repeats: int | None = None


def register_weights(router: APIRouter, find: Find) -> None:
    """Add ``/captions/weights``."""
    def weights(request: WeightRequest) -> Response:
        return edit(find, request, lambda editor: set_weights(editor, named(request), request.weight, request.repeats))

    router.add_api_route("/captions/weights", weights, methods=["POST"])
