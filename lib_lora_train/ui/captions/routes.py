"""Routes of the caption editor: open, show and edit a dataset."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, Response

from ...captions.editor.editor import CaptionEditor, Outcome, numbers_in
from ...captions.editor.pictures import (
    copy_pictures,
    delete_pictures,
    lower_case_endings,
    move_pictures,
    rename_folder,
)
from ...captions.journal.apply import ConflictError
from ...captions.patterns import Cancel
from ...errors import DatasetError
from ...pictures.caption_files import join_tags, used_line
from ...pictures.thumbnails import thumbnail
from ..access import dataset_folder
from ..services import THUMBNAILS, Services
from . import answers
from .answers import Find, edit, respond
from .causes.routes import register_causes
from .completions import completions
from .crop_routes import register_crop
from .editors import CaptionEditors, Session
from .grow.routes import register_growing
from .intake.exchange_routes import register_exchange
from .intake.routes import Intakes, register_intake
from .intake.upscale_routes import register_upscaling
from .knowledge_routes import register_knowledge
from .mask_routes import register_masks
from .requests import (
    FolderRequest,
    NumbersRequest,
    OpenRequest,
    OperationRequest,
    PictureRequest,
    RenameRequest,
    SessionRequest,
    StepRequest,
    TagRequest,
    TextRequest,
    ViewRequest,
    dataset_settings,
    named,
    only,
    operation_of,
)
from .set_routes import register_set
from .tagging_job import taggers_dir
from .weight_routes import register_weights

_PREVIEWS = 60
_PATTERNS_AT_ONCE = 3
_PAGE = 400


def register(router: APIRouter, services: Services) -> None:
    """Add all routes under ``/captions``."""
    editors = CaptionEditors(services.cache_dir / "captions", taggers_dir(services))
    find = _finder(services, editors)
    _register_reading(router, services, editors, find)
    _register_editing(router, find)
    _register_pictures(router, find)
    register_knowledge(router, services, find)
    register_set(router, find)
    register_weights(router, find)
    intakes = Intakes()
    register_intake(router, services, find, intakes)
    register_exchange(router, find, intakes)
    register_crop(router, find)
    register_masks(router, services, editors, find)
    register_upscaling(router, services, find)
    register_growing(router, services, find)
    register_causes(router, services, find)


def _finder(services: Services, editors: CaptionEditors) -> Find:
    def find(request: SessionRequest) -> Session:
        return editors.session(dataset_folder(services.host, request.folder), request.session)

    return find


def _register_reading(router: APIRouter, services: Services, editors: CaptionEditors, find: Find) -> None:
    def open_dataset(request: OpenRequest) -> dict[str, Any]:
        folder = dataset_folder(services.host, request.folder)
        return answers.opened(editors.open(folder, dataset_settings(request.settings)))

    def refresh(request: SessionRequest) -> Response:
        def answer(session: Session) -> dict[str, Any]:
            changed = session.editor.refresh()
            session.read_sizes_soon()
            return {"changed": changed, **answers.state(session)}

        return respond(find, request, answer)

    def view(request: ViewRequest) -> Response:
        return respond(find, request, lambda session: answers.view(session, request))

    def cells(request: NumbersRequest) -> Response:
        return respond(find, request, lambda session: {
            "cells": answers.cells(session.editor, (request.numbers or [])[:_PAGE])})

    def picture(request: PictureRequest) -> Response:
        return respond(find, request,
                    lambda session: answers.picture(session, only(request.numbers), request.framing()))

    def complete(request: TagRequest) -> Response:
        return respond(find, request, lambda session: {
            "tags": completions(request.tag, session.editor.index, editors.tagger_tags.tags())})

    def image(folder: str, session: str, path: str, size: int = 256) -> Response:
        opened = editors.session(dataset_folder(services.host, folder), session)
        with opened.editor.picture(path) as file:
            small = thumbnail(opened.editor.folder / path, file, size, services.cache_dir / THUMBNAILS)
        return FileResponse(small, media_type="image/webp",
                            headers={"Cache-Control": "private, max-age=31536000, immutable"})

    router.add_api_route("/captions/open", open_dataset, methods=["POST"])
    for name, act in (("refresh", refresh), ("view", view), ("cells", cells), ("picture", picture),
                      ("complete", complete)):
        router.add_api_route(f"/captions/{name}", act, methods=["POST"])
    router.add_api_route("/captions/image", image, methods=["GET"])


class _Newest:
    """Only the newest preview of a session runs, since the page shows no other."""

    def __init__(self) -> None:
        self._at_work: dict[str, Cancel] = {}

    @contextmanager
    def of(self, session: str) -> Iterator[Cancel]:
        """Yield the ``Cancel`` of a new preview and cancel the session's older one."""
        mine, older = Cancel(), self._at_work.get(session)
        self._at_work[session] = mine
        if older is not None:
            older.now()
        try:
            yield mine
        finally:
            if self._at_work.get(session) is mine:
                del self._at_work[session]


def _register_editing(router: APIRouter, find: Find) -> None:
    newest = _Newest()
    patterns = ThreadPoolExecutor(_PATTERNS_AT_ONCE, thread_name_prefix="train-lora-pattern")

    async def in_a_thread(request: OperationRequest, act: Callable[[], Response]) -> Response:
        """Run ``act`` in a thread; a regex may take seconds, so it gets one that other requests do not share."""
        if str(request.operation.get("kind")).startswith("regex"):
            return await asyncio.get_running_loop().run_in_executor(patterns, act)
        return await run_in_threadpool(act)

    async def apply(request: OperationRequest) -> Response:
        return await in_a_thread(request, lambda: edit(find, request, lambda editor: editor.apply(
            operation_of(request.operation), numbers_in(editor, request.numbers, request.filter),
            request.activation_tag)))

    async def preview(request: OperationRequest) -> Response:
        def answer(session: Session) -> dict[str, Any]:
            found = session.editor.preview(operation_of(request.operation),
                                           numbers_in(session.editor, request.numbers, request.filter),
                                           request.activation_tag, cancel)
            return {"captions": len(found), "previews": [dataclasses.asdict(item) for item in found[:_PREVIEWS]]}

        with newest.of(request.session) as cancel:
            return await in_a_thread(request, lambda: respond(find, request, answer))

    def text(request: TextRequest) -> Response:
        return edit(find, request, lambda editor: set_text(editor, request))

    def undo(request: StepRequest) -> Response:
        return edit(find, request, lambda editor: editor.undo(request.leave))

    def redo(request: StepRequest) -> Response:
        return edit(find, request, lambda editor: editor.redo(request.leave))

    def save_as_utf8(request: NumbersRequest) -> Response:
        return edit(find, request, lambda editor: editor.save_as_utf8(
            numbers_in(editor, request.numbers, request.filter)))

    for name, act in (("apply", apply), ("preview", preview), ("text", text), ("undo", undo), ("redo", redo),
                      ("utf-8", save_as_utf8)):
        router.add_api_route(f"/captions/{name}", act, methods=["POST"])


def _register_pictures(router: APIRouter, find: Find) -> None:
    def delete(request: NumbersRequest) -> Response:
        return edit(find, request, lambda editor: delete_pictures(editor, named(request)))

    def move(request: FolderRequest) -> Response:
        return edit(find, request, lambda editor: move_pictures(editor, named(request), request.target))

    def copy(request: FolderRequest) -> Response:
        return edit(find, request, lambda editor: copy_pictures(editor, named(request), request.target))

    def lower_case(request: NumbersRequest) -> Response:
        return edit(find, request, lambda editor: lower_case_endings(editor, named(request)))

    def rename(request: RenameRequest) -> Response:
        return edit(find, request, lambda editor: rename_folder(editor, request.of, request.name))

    for name, act in (("delete", delete), ("move", move), ("copy", copy), ("lower-case", lower_case),
                      ("rename-folder", rename)):
        router.add_api_route(f"/captions/{name}", act, methods=["POST"])


def set_text(editor: CaptionEditor, request: TextRequest) -> Outcome:
    """Write the page's caption if the file still has what the page was shown. Raises ``ConflictError``."""
    entry = editor.entry(request.number)
    now = entry.caption.text or ""
    if now.replace("\r\n", "\n") != request.before.replace("\r\n", "\n"):
        raise ConflictError([entry.caption.path])
    if request.tags is not None:
        new = used_line(now).with_line(join_tags(request.tags, editor.settings.caption_separator))
    elif request.text is not None:
        new = request.text
    else:
        raise DatasetError("Neither a text nor tags were sent.")
    return editor.set_texts({request.number: new})
