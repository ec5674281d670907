"""Routes of the caption editor that crop, turn and trim images."""

from __future__ import annotations

import dataclasses
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from ...captions.editor.editor import CaptionEditor, Outcome, numbers_in
from ...captions.editor.image_edits import ImageEdit, edit_images
from ...captions.journal.apply import ConflictError
from ...pictures.buckets import BucketRule
from . import answers
from .answers import Find, edit, respond
from .crop_desk import CropDesk
from .crop_requests import BatchRequest, BatchSaveRequest, CropRequest, CropSaveRequest
from .editors import Session
from .image_batch import BatchSearch
from .requests import dataset_settings


def register_crop(router: APIRouter, find: Find) -> None:
    """Add ``/captions/crop`` and its subroutes."""
    desk = CropDesk()

    def options(request: CropRequest) -> Response:
        return respond(find, request, lambda session: dataclasses.asdict(desk.options(
            session.editor, request.entry(session.editor), request.turn(), dataset_settings(request.settings))))

    def frame(request: CropRequest) -> Response:
        return respond(find, request, lambda session: dataclasses.asdict(desk.frame(
            session.editor, request.entry(session.editor), request.turn(), request.place(),
            dataset_settings(request.settings))))

    def save(request: CropSaveRequest) -> Response:
        return edit(find, request, lambda editor: save_crop(editor, request))

    def batch(request: BatchRequest) -> Response:
        def act(session: Session) -> dict[str, Any]:
            if request.stop:
                session.batch.stop()
            elif request.begin:
                wanted = BatchSearch(request.kind, request.plain, BucketRule.of(dataset_settings(request.settings)))
                session.batch.search(session.editor, desk, wanted,
                                     numbers_in(session.editor, request.numbers, request.filter))
            return report(session)

        return respond(find, request, act)

    def save_batch(request: BatchSaveRequest) -> Response:
        def act(session: Session) -> dict[str, Any]:
            def saved() -> None:
                session.settle_soon()
                session.read_sizes_soon()

            session.batch.save(session.editor, request.without, request.remove, request.add, saved)
            return report(session)

        return respond(find, request, act)

    for name, route in (("options", options), ("frame", frame), ("save", save), ("batch", batch),
                        ("batch/save", save_batch)):
        router.add_api_route(f"/captions/crop/{name}", route, methods=["POST"])


def report(session: Session) -> dict[str, Any]:
    """The state of the session's batch."""
    return {**dataclasses.asdict(session.batch.report()), **answers.state(session)}


def save_crop(editor: CaptionEditor, request: CropSaveRequest) -> Outcome:
    """Save a crop, unless image or caption have changed since the page saw them. Raises ``ConflictError``."""
    with editor.lock:
        entry = request.entry(editor)
        now, seen = ((text or "").replace("\r\n", "\n") for text in (entry.caption.text, request.before))
        if request.in_place and now != seen:
            raise ConflictError([entry.caption.path])
        one = ImageEdit(entry.id, entry.file, request.turn(), request.place(), request.in_place, request.word,
                        request.caption)
    if one.in_place:
        label = f"Cropped {entry.name}" if one.frame is not None else f"Turned {entry.name}"
    else:
        label = f"Made an image of {'a part of ' if one.frame is not None else ''}{entry.name}"
    return edit_images(editor, [one], label)
