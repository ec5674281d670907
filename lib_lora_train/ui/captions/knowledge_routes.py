"""Routes for what is known about a dataset: consolidation, doubtful tags, trigger word, doctor, suspicious images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from ...captions.activation import not_first, on_and_off
from ...captions.consolidate import Suggestion, consolidated, suggestion_of, suggestions
from ...captions.doctor.doctor import Report, with_findings
from ...captions.doctor.report import Finding
from ...captions.doubtful import Doubt, doubts, fixed, keep, read_kept
from ...captions.editor.editor import CaptionEditor, Outcome
from ...captions.tags import plain
from ...errors import DatasetError
from ...pictures.caption_files import join_tags, split_tags, used_line
from ...pictures.problems import count_of
from ..runs.diagnosis.suspects import finding_of, suspects_in
from ..services import Services
from . import answers
from .answers import Find, edit, respond
from .editors import Session
from .requests import (
    ConsolidateRequest,
    DoctorRequest,
    DoubtRequest,
    SessionRequest,
    TagRequest,
    dataset_settings,
)

_SUGGESTIONS_SHOWN = 200
_DOUBTS_SHOWN = 600
_EXAMPLES = 24


def register_knowledge(router: APIRouter, services: Services, find: Find) -> None:
    """Add ``/captions/consolidate``, ``doubtful``, ``activation``, ``on-off``, ``doctor`` and ``suspects``."""
    def consolidate(request: TagRequest) -> Response:
        return respond(find, request, lambda session: consolidations(session.editor, request.tag))

    def accept(request: ConsolidateRequest) -> Response:
        return edit(find, request, lambda editor: accept_consolidations(editor, request.chosen))

    def activation(request: TagRequest) -> Response:
        return respond(find, request, lambda session: {"numbers": not_first(session.editor.index, request.tag)})

    def on_off(request: TagRequest) -> Response:
        return respond(find, request, lambda session: dataclasses.asdict(on_and_off(session.editor.index, request.tag)))

    for name, act in (("consolidate", consolidate), ("consolidate/accept", accept), ("activation", activation),
                      ("on-off", on_off)):
        router.add_api_route(f"/captions/{name}", act, methods=["POST"])
    _register_doubts(router, find)
    _register_doctor(router, services, find)


def _register_doubts(router: APIRouter, find: Find) -> None:
    def doubtful(request: SessionRequest) -> Response:
        return respond(find, request, doubtful_tags)

    def decide(request: DoubtRequest) -> Response:
        if not request.keep:
            shown = find(request).doubts
            return edit(find, request, lambda editor: fix_doubts(
                editor, [shown[key] for key in request.keys if key in shown]))

        def remember(session: Session) -> dict[str, Any]:
            keep(session.editor.folder, request.keys)
            return answers.state(session)

        return respond(find, request, remember)

    for name, act in (("doubtful", doubtful), ("doubtful/decide", decide)):
        router.add_api_route(f"/captions/{name}", act, methods=["POST"])


def _register_doctor(router: APIRouter, services: Services, find: Find) -> None:
    def doctor(request: DoctorRequest) -> Response:
        def answer(session: Session) -> dict[str, Any]:
            if request.stop:
                session.examination.stopped = True
            elif request.begin:
                session.examine(dataset_settings(request.settings), request.max_tokens)
            return examination(session, lambda: finding_of(suspects_in(services, session.editor)))

        return respond(find, request, answer)

    def suspects(request: SessionRequest) -> Response:
        return respond(find, request, lambda session: dataclasses.asdict(suspects_in(services, session.editor)))

    for name, act in (("doctor", doctor), ("suspects", suspects)):
        router.add_api_route(f"/captions/{name}", act, methods=["POST"])


def consolidations(editor: CaptionEditor, activation_tag: str) -> dict[str, Any]:
    """Return the suggestions, each with some of its images before and after."""
    with editor.lock:
        found = suggestions(editor.index, activation_tag)
        return {"total": len(found), "suggestions": [_suggestion(editor, item) for item in found[:_SUGGESTIONS_SHOWN]]}


def _suggestion(editor: CaptionEditor, item: Suggestion) -> dict[str, Any]:
    examples = [{**answers.cell(editor.index.entries[number]),
                 "after": consolidated(editor.index.entries[number].caption.tags, item)}
                for number in (*item.adds_up, *item.pictures)[:_EXAMPLES]]
    return {"keep": item.keep, "drop": list(item.drop), "pictures": len(item.pictures),
            "adds_up": len(item.adds_up), "examples": examples}


def accept_consolidations(editor: CaptionEditor, chosen: list[dict[str, Any]]) -> Outcome:
    """Apply suggestions as one undo step; prose is left alone. Raises ``DatasetError``."""
    with editor.lock:
        tags: dict[int, list[str]] = {}
        for item in chosen:
            wanted, drop = plain(str(item.get("keep", ""))), [plain(str(tag)) for tag in item.get("drop", [])]
            if not wanted or not drop:
                raise DatasetError(f"The suggestion {item!r} is not understood.")
            suggestion = suggestion_of(editor.index, wanted, drop)
            for number in suggestion.pictures:
                caption = editor.index.entries[number].caption
                if not caption.prose:
                    tags[number] = consolidated(tags.get(number, list(caption.tags)), suggestion)
        texts = {number: _with_tags(editor, number, new) for number, new in tags.items()}
        names = ", ".join(str(item["keep"]) for item in chosen[:3]) + (" …" if len(chosen) > 3 else "")
        return editor.set_texts(texts, f"Consolidated to {names} in {count_of(len(texts), 'caption')}")


def doubtful_tags(session: Session) -> dict[str, Any]:
    """Return the doubtful tags with their images, and whether there is tagger output to judge by."""
    editor = session.editor
    with editor.lock:
        confidences = editor.confidences()
        found = doubts(editor.index, confidences, read_kept(editor.folder))
        session.doubts = {doubt.key: doubt for doubt in found[:_DOUBTS_SHOWN]}
        shown = [_doubt(editor, doubt) for doubt in session.doubts.values()]
        return {"total": len(found), "tagged": len(confidences), "doubts": [item for item in shown if item is not None]}


def _doubt(editor: CaptionEditor, doubt: Doubt) -> dict[str, Any] | None:
    entry = editor.index.of_path(doubt.picture)
    if entry is None:
        return None
    return {**dataclasses.asdict(doubt), "key": doubt.key, "why": doubt.why(), "cell": answers.cell(entry),
            "fix": {"rare": f"Replace with {doubt.instead}", "missing": "Add it"}.get(doubt.kind, "Remove it")}


def fix_doubts(editor: CaptionEditor, chosen: list[Doubt]) -> Outcome:
    """Fix doubtful tags as one undo step. Raises ``DatasetError`` if there are none."""
    if not chosen:
        raise DatasetError("That tag is no longer among the doubtful ones. Open the list again.")
    with editor.lock:
        tags: dict[int, list[str]] = {}
        for doubt in chosen:
            entry = editor.index.of_path(doubt.picture)
            if entry is not None:
                if entry.id not in tags:
                    tags[entry.id] = split_tags(entry.caption.line, editor.settings.caption_separator)
                tags[entry.id] = fixed(tags[entry.id], doubt)
        one = chosen[0]
        verb = {"rare": f"Replaced {one.tag} with {one.instead}", "missing": f"Added {one.tag}"}.get(
            one.kind, f"Removed {one.tag}")
        label = f"{verb} in {one.picture}" if len(chosen) == 1 else f"Fixed {count_of(len(chosen), 'doubtful tag')}"
        return editor.set_texts({number: _with_tags(editor, number, new) for number, new in tags.items()}, label)


def examination(session: Session, of_runs: Callable[[], tuple[Finding, ...]]) -> dict[str, Any]:
    """Return the doctor's progress and findings, once it is ready with those ``of_runs`` on the dataset."""
    found = session.examination
    status = "running" if found.running else "ready" if found.report else "failed" if found.problem else "none"
    return {"state": status, "done": found.done, "total": found.total, "problem": found.problem,
            "stopped": found.stopped,
            "report": None if found.report is None else _report(session.editor, with_findings(found.report, of_runs())),
            **answers.state(session)}


def _report(editor: CaptionEditor, report: Report) -> dict[str, Any]:
    """Return the report with the images it names; images that are gone are skipped."""
    plain_report = dataclasses.asdict(report)
    numbers = {number for finding in report.findings for number in finding.numbers}
    numbers |= {crop.number for crop in report.crops}
    plain_report["cells"] = {number: answers.cell(editor.index.entries[number]) for number in sorted(numbers)
                             if number in editor.index.entries}
    return plain_report


def _with_tags(editor: CaptionEditor, number: int, tags: list[str]) -> str:
    text = editor.index.entries[number].caption.text or ""
    return used_line(text).with_line(join_tags(tags, editor.settings.caption_separator))
