"""Routes between the dataset and the webui's own tabs: an image to edit there, and the result that comes back."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from PIL import Image

from ....captions.editor.editor import CaptionEditor
from ....captions.editor.pictures import target_folder
from ....captions.intake.result import Result, add_result
from ....pictures.images import open_picture
from ...pictures import data_url
from .. import answers
from ..answers import Find, respond
from ..editors import Session
from ..requests import NumbersRequest, SessionRequest, only
from .routes import Intakes

_STEP = 8


class ResultRequest(SessionRequest):
    """A result that was sent as the import ``intake``, and how it is added: see ``Result``."""

    intake: str
    source: str = ""
    target: str = ""
    caption: str = ""
    regularization: bool = False
    keep_info: bool = True


def register_exchange(router: APIRouter, find: Find, intakes: Intakes) -> None:
    """Add ``/captions/send`` and ``/captions/result``."""
    def send(request: NumbersRequest) -> Response:
        return respond(find, request, lambda session: sent(session.editor, request.numbers or []))

    def result(request: ResultRequest) -> Response:
        def through(session: Session) -> dict[str, Any]:
            editor = session.editor
            known = intakes.of(request.intake, editor.folder)
            wish = Result(request.source, target_folder(editor, request.target), request.caption,
                          request.regularization, request.keep_info)
            try:
                done, path = add_result(editor, known.intake, wish)
            finally:
                session.settle_soon()
            intakes.close(request.intake)
            session.read_sizes_soon()
            entry = editor.index.of_path(path)
            return {**answers.outcome(session, done), "added": [] if entry is None else [entry.id]}

        return respond(find, request, through)

    router.add_api_route("/captions/send", send, methods=["POST"])
    router.add_api_route("/captions/result", result, methods=["POST"])


def sent(editor: CaptionEditor, numbers: list[int]) -> dict[str, Any]:
    """The image for the webui's tabs as a PNG data URL, upright and as trained, with its caption and size to draw at.

    Raises ``DatasetError`` if it is gone or damaged.
    """
    entry = editor.entry(only(numbers))
    with editor.picture(entry.path) as file:
        return image_to_send(editor, open_picture(editor.folder / entry.path, file), entry.caption.line)


def image_to_send(editor: CaptionEditor, picture: Image.Image, line: str) -> dict[str, Any]:
    """The answer for the webui's tabs: ``picture`` as a PNG data URL, its caption ``line`` and the size to draw at."""
    width, height = size_to_draw(picture.width, picture.height, editor.settings.size)
    return {"image": data_url(picture, compress_level=1), "line": line, "width": width, "height": height}


def size_to_draw(width: int, height: int, trained: tuple[int, int]) -> tuple[int, int]:
    """The size with the shape of ``width`` x ``height`` and as many pixels as ``trained``, in multiples of 8."""
    scale = (trained[0] * trained[1] / (width * height)) ** 0.5
    wide, high = (max(_STEP, round(side * scale / _STEP) * _STEP) for side in (width, height))
    return wide, high
