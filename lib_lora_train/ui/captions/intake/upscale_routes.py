"""Routes that upscale images of a dataset with the webui's upscalers."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field

from ....captions.editor.editor import numbers_in
from ....captions.intake.upscaled import factor_for
from ....host.interface import NOT_DRAWN_HERE
from ...services import Services
from ..answers import Find, respond
from ..editors import Session
from ..requests import NumbersRequest, SessionRequest
from .upscaling import UpscaleDesk, Wanted

MOST_FACTOR = 8.0


class UpscaleRequest(NumbersRequest):
    """The images, and the ``factor``; 0 upscales those that are smaller than the training size, up to it."""

    factor: float = Field(default=0.0, ge=0.0, le=MOST_FACTOR)
    upscaler: str = ""
    in_place: bool = True


def register_upscaling(router: APIRouter, services: Services, find: Find) -> None:
    """Add ``/captions/upscale`` and its subroutes."""
    desk = UpscaleDesk(services.drawings)

    def plan(request: UpscaleRequest) -> Response:
        def answer(session: Session) -> dict[str, Any]:
            names = desk.upscalers()
            images, _ = wanted_of(session, request)
            return {"upscalers": names, "images": len(images), "of": len(_numbers(session, request)),
                    "problem": "" if names else NOT_DRAWN_HERE, "size": list(session.editor.settings.size)}

        return respond(find, request, answer)

    def start(request: UpscaleRequest) -> Response:
        return respond(find, request, lambda session: desk.start(session, *wanted_of(session, request),
                                                                 request.upscaler, request.in_place))

    def state(request: SessionRequest) -> Response:
        return respond(find, request, lambda session: desk.state())

    def stop(request: SessionRequest) -> Response:
        return respond(find, request, lambda session: desk.stop())

    for name, act in (("", start), ("/plan", plan), ("/state", state), ("/stop", stop)):
        router.add_api_route(f"/captions/upscale{name}", act, methods=["POST"])


def wanted_of(session: Session, request: UpscaleRequest) -> tuple[list[Wanted], list[str]]:
    """The images that can be upscaled as requested, and the paths of those whose size cannot be read."""
    editor, found, unread = session.editor, list[Wanted](), list[str]()
    for number in _numbers(session, request):
        entry = editor.index.entries.get(number)
        if entry is None:
            continue
        if not entry.width:
            editor.read_size(entry)  # it was added a moment ago, and the sizes of a set are read in the background
        if not entry.width:
            unread.append(entry.path)
            continue
        factor = factor_for(entry.width, entry.height, editor.settings.size, request.factor)
        if factor is not None:
            found.append(Wanted(entry.path, factor))
    return found, unread


def _numbers(session: Session, request: UpscaleRequest) -> list[int]:
    return numbers_in(session.editor, request.numbers, request.filter)
