"""Routes for many captions at once: common tags, renaming a tag, imported captions, history."""

from __future__ import annotations

import dataclasses
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from ...captions.editor.editor import CaptionEditor, numbers_in
from ...captions.editor.history import changes_of_edit, go_to, state_of, way_to
from ...captions.editor.selection import common_tags, copied_tags, rename_facts
from ...captions.incoming import Incoming, from_metadata, from_names, plan, take_in
from ...captions.metadata_json import MOST_CHARACTERS
from ...errors import DatasetError, TrainLoraError
from ...files.confine import open_inside
from ...files.reading import reason
from ...pictures.caption_files import join_tags
from . import answers
from .answers import Find, edit, respond
from .editors import Session
from .requests import (
    HistoryRequest,
    IncomingRequest,
    NumbersRequest,
    PathsRequest,
    RenameTagRequest,
    ReturnRequest,
    SessionRequest,
    name_rule_of,
)

_PREVIEWS = 60
_HISTORY_PAGE = 40
_MOST_FILES = 100


def register_set(router: APIRouter, find: Find) -> None:
    """Add ``/captions/common``, ``copied``, ``paths``, ``numbers``, ``rename-tag``, ``incoming`` and ``history``."""
    def common(request: NumbersRequest) -> Response:
        return respond(find, request, lambda session: dataclasses.asdict(
            common_tags(session.editor, numbers_in(session.editor, request.numbers, request.filter))))

    def copied(request: NumbersRequest) -> Response:
        def answer(session: Session) -> dict[str, Any]:
            found = copied_tags(session.editor, numbers_in(session.editor, request.numbers, request.filter))
            separator = session.editor.settings.caption_separator
            return {**dataclasses.asdict(found), "text": join_tags(found.tags, separator)}

        return respond(find, request, answer)

    def paths(request: NumbersRequest) -> Response:
        return respond(find, request, lambda session: {"paths": [
            session.editor.entry(number).path
            for number in numbers_in(session.editor, request.numbers, request.filter)]})

    def numbers(request: PathsRequest) -> Response:
        def answer(session: Session) -> dict[str, Any]:
            found = [session.editor.index.of_path(path) for path in request.paths]
            return {"numbers": [None if entry is None else entry.id for entry in found]}

        return respond(find, request, answer)

    def rename_tag(request: RenameTagRequest) -> Response:
        return respond(find, request, lambda session: dataclasses.asdict(
            rename_facts(session.editor, request.tag, request.name)))

    for name, act in (("common", common), ("copied", copied), ("paths", paths), ("numbers", numbers),
                      ("rename-tag", rename_tag)):
        router.add_api_route(f"/captions/{name}", act, methods=["POST"])
    _register_incoming(router, find)
    _register_history(router, find)


def _register_incoming(router: APIRouter, find: Find) -> None:
    def files(request: SessionRequest) -> Response:
        return respond(find, request, lambda session: {"files": metadata_files(session.editor)})

    def preview(request: IncomingRequest) -> Response:
        return respond(find, request, lambda session: dataclasses.asdict(plan(
            session.editor, incoming_of(session.editor, request),
            numbers_in(session.editor, request.numbers, request.filter), request.mode, _PREVIEWS)))

    def take(request: IncomingRequest) -> Response:
        return edit(find, request, lambda editor: take_in(
            editor, incoming_of(editor, request), numbers_in(editor, request.numbers, request.filter), request.mode))

    for name, act in (("incoming/files", files), ("incoming/plan", preview), ("incoming", take)):
        router.add_api_route(f"/captions/{name}", act, methods=["POST"])


def _register_history(router: APIRouter, find: Find) -> None:
    def history(request: HistoryRequest) -> Response:
        return respond(find, request, lambda session: edits(session, request.skip))

    def changes(request: HistoryRequest) -> Response:
        return respond(find, request, lambda session: {
            "changes": [changes_of(session, number) for number in request.numbers[:_HISTORY_PAGE]]})

    def preview(request: ReturnRequest) -> Response:
        return respond(find, request,
                    lambda session: dataclasses.asdict(way_to(session.editor, request.edit, _PREVIEWS)))

    def go(request: ReturnRequest) -> Response:
        return edit(find, request, lambda editor: go_to(editor, request.edit, request.seen, request.leave))

    for name, act in (("history", history), ("history/changes", changes), ("history/preview", preview),
                      ("history/go", go)):
        router.add_api_route(f"/captions/{name}", act, methods=["POST"])


def edits(session: Session, skip: int) -> dict[str, Any]:
    """Return a page of edits, newest first, without the newest ``skip``; ``undone`` edits can be redone."""
    found = session.editor.history()
    items = [{**dataclasses.asdict(batch), "undone": place >= found.position}
             for place, batch in enumerate(found.batches)]
    return {"edits": items[::-1][skip:skip + _HISTORY_PAGE], "total": len(items), "seen": state_of(found),
            **answers.state(session)}


def changes_of(session: Session, number: int) -> dict[str, Any]:
    """Return the changes of one edit, with one of its images; ``problem`` says why they are no longer known."""
    editor = session.editor
    try:
        found = session.changes.get(number)
        if found is None:
            found = session.changes[number] = changes_of_edit(editor, number)
    except TrainLoraError as problem:
        return {"number": number, "problem": str(problem), "changes": None, "cell": None}
    entry = editor.index.of_path(found.picture)
    return {"number": number, "problem": "", "changes": dataclasses.asdict(found),
            "cell": None if entry is None else answers.cell(entry)}


def incoming_of(editor: CaptionEditor, request: IncomingRequest) -> Incoming:
    """Return the requested captions. Raises ``DatasetError`` if they cannot be read."""
    if request.source == "names":
        numbers = numbers_in(editor, request.numbers, request.filter)
        return from_names(editor, name_rule_of(request.rule), numbers)
    if request.source != "metadata":
        raise DatasetError(f"{request.source[:80]!r} is no source of captions. Choose names or metadata.")
    if request.file:
        return from_metadata(editor, _read(editor, request.file), request.part)
    if not request.text.strip():
        raise DatasetError("No metadata is given. Choose the JSON file.")
    return from_metadata(editor, request.text, request.part)


def metadata_files(editor: CaptionEditor) -> list[str]:
    """Return the names of the JSON files in the dataset's top folder."""
    found = sorted(path.name for path in editor.folder.glob("*.json") if not path.name.startswith("."))
    return found[:_MOST_FILES]


def _read(editor: CaptionEditor, name: str) -> str:
    if name not in metadata_files(editor):
        raise DatasetError(f"There is no JSON file {name[:200]!r} in the dataset's folder.")
    try:
        with open_inside(editor.folder, name) as file:
            data = file.read(MOST_CHARACTERS + 1)
    except OSError as problem:
        raise DatasetError(f"{name} cannot be read: {reason(problem)}.") from problem
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DatasetError(f"{name} is not UTF-8: {problem.reason} at byte {problem.start + 1}.") from problem
