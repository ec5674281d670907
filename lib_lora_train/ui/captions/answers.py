"""Responses of the caption editor's routes, as JSON."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fastapi.responses import Response

from ...captions.chunks import CaptionTokens, Framing
from ...captions.editor.editor import CaptionEditor, Outcome, likely_tags, tags_of_picture
from ...captions.editor.index import EditorIndex, Entry
from ...captions.editor.query import about_unknown, mask_words, tokens_of, unknown_tags
from ...captions.filter import FilterError, parse
from ...captions.intake.intake import ENDINGS
from ...captions.journal.apply import ConflictError
from ...pictures.buckets import BucketRule
from ...pictures.origin import origin_of
from ...pictures.problems import count_of
from ..answers import EscapedJson
from .editors import ReopenError, Session
from .requests import SessionRequest, ViewRequest

Find = Callable[[SessionRequest], Session]
"""Finds the session of a request. Raises ``ReopenError`` if it has expired."""

_SORTS: dict[str, Callable[[Entry], Any]] = {
    "tags": lambda entry: len(entry.caption.tags),
    "-tags": lambda entry: -len(entry.caption.tags),
    "size": lambda entry: entry.width * entry.height,
    "-size": lambda entry: -entry.width * entry.height,
    "newest": lambda entry: -entry.file.modified_ns,
    "caption": lambda entry: (entry.caption.text or "").lower(),
}


def respond(find: Find, request: SessionRequest, answer: Callable[[Session], dict[str, Any]]) -> Response:
    """The response of ``answer``; errors that the page acts on have their own status.

    409: files have changed meanwhile, listed in ``problems``. 410: the dataset must be reopened. 422: the filter is
    invalid from ``start`` to ``end``.
    """
    try:
        return EscapedJson(answer(find(request)))
    except ConflictError as problem:
        return EscapedJson({"error": str(problem), "problems": list(problem.paths)}, 409)
    except ReopenError as problem:
        return EscapedJson({"error": str(problem), "problems": []}, 410)
    except FilterError as problem:
        return EscapedJson({"error": str(problem), "problems": [f"{problem.start}:{problem.end}"],
                            "start": problem.start, "end": problem.end}, 422)


def edit(find: Find, request: SessionRequest, act: Callable[[CaptionEditor], Outcome]) -> Response:
    """The response to an edit; the journal is settled soon after."""
    def through(session: Session) -> dict[str, Any]:
        try:
            done = act(session.editor)
        finally:
            session.settle_soon()
        session.read_sizes_soon()
        return outcome(session, done)

    return respond(find, request, through)


def opened(session: Session) -> dict[str, Any]:
    """The state the page starts from."""
    editor = session.editor
    folders = Counter(entry.folder for entry in editor.index.entries.values())
    return {"folder": str(editor.folder), "session": session.id, "messages": editor.messages,
            "left_out": [{"path": str(item.path), "reason": item.reason} for item in editor.left_out],
            "folders": [{"path": path, "pictures": count} for path, count in sorted(folders.items())],
            "separator": editor.settings.caption_separator, "tokens_exact": editor.tokens.exact,
            "endings": list(ENDINGS), **state(session)}


def state(session: Session) -> dict[str, Any]:
    """The fields of every response, which tell the page when it is out of date."""
    history = session.editor.history()
    done, undone = history.batches[:history.position], history.batches[history.position:]
    return {"revision": session.editor.revision, "sizes_ready": session.sizes_ready,
            "pictures": len(session.editor.index.entries),
            "undo": done[-1].label if done else None, "redo": undone[0].label if undone else None}


def outcome(session: Session, done: Outcome) -> dict[str, Any]:
    """The result of an edit."""
    return {"label": done.label, "changed": list(done.changed), "left": list(done.left), **state(session)}


def view(session: Session, request: ViewRequest) -> dict[str, Any]:
    """The numbers of the images shown, their tags, and the selected images that are ``gone``.

    A filter that is invalid, e.g. half-typed, gives the ``problem`` and its position. A tag that no caption has gives a
    ``hint`` with its position. ``masks`` is the number of images shown that have a mask.
    """
    editor = session.editor
    try:
        found = editor.filtered(request.filter)
    except FilterError as problem:
        return {"problem": {"text": str(problem), "start": problem.start, "end": problem.end}, **state(session)}
    with editor.lock:
        index = editor.index
        tags = index.tag_counts(None if found == index.all else found, request.most_tags, request.tag_part)
        return {"numbers": _sorted(index, index.members(found, editor.order()), request.sort), "tags": tags,
                "different_tags": len(index.known_tags()),
                "without_caption": (found & index.without_caption).bit_count(),
                "masks": (found & index.masked).bit_count(),
                "gone": [number for number in request.selected if number not in index.entries],
                "hint": _hint(index, request.filter), **state(session)}


def _hint(index: EditorIndex, filter_text: str) -> dict[str, Any] | None:
    tree = parse(filter_text)
    if tree is None:
        return None
    unknown = next(unknown_tags(tree, index), None)
    if unknown is not None:
        return {"text": about_unknown(unknown), "start": unknown.start, "end": unknown.end}
    having = index.count_of("mask")
    mask = next(mask_words(tree), None) if having else None
    if mask is None:
        return None
    text = (f"This finds images with a mask file. There is a tag mask as well, in {count_of(having, 'image')}: for the "
            'tag, write "mask" in quotes.')
    return {"text": text, "start": mask.start, "end": mask.end}


def cells(editor: CaptionEditor, numbers: Iterable[int]) -> list[dict[str, Any]]:
    """The grid's facts about images; images that are gone are skipped."""
    with editor.lock:
        return [{**cell(entry), "edits": bool(editor.index.pairs.edits_of(entry.path))} for number in numbers
                if (entry := editor.index.entries.get(number)) is not None]


def cell(entry: Entry) -> dict[str, Any]:
    """One image in the grid. ``version`` changes with the file, and ``mask`` with its mask (empty: it has none)."""
    return {"number": entry.id, "path": entry.path, "name": entry.name, "folder": entry.folder, "width": entry.width,
            "height": entry.height, "version": entry.version,
            "text": entry.caption.text, "prose": entry.caption.prose, "problem": entry.caption.problem,
            "tags": len(entry.caption.tags), "weight": entry.weight.weight, "repeats": entry.weight.repeats,
            "weight_problem": entry.weight_problem, "origin": origin_of(entry.name),
            "mask": entry.file.mask_version}


def picture(session: Session, number: int, framing: Framing) -> dict[str, Any]:
    """All facts about one image; ``framing`` is added in training. Raises ``DatasetError`` if the image is gone."""
    editor = session.editor
    with editor.lock:
        entry = editor.entry(number)
        editor.read_size(entry)
        tokens = CaptionTokens(entry.caption.line, editor.settings.caption_separator, framing, editor.tokens.count)
        tags = [{**tag, "begins": begins, "ends": ends} for tag, (begins, ends)
                in zip(tags_of_picture(editor, entry), tokens.of_tags(), strict=True)]
        answer = {**cell(entry), "caption_path": entry.caption.path, "tag_list": tags, "line": entry.caption.line,
                  "trained_tokens": tokens.total,
                  "chunk_ends": [dataclasses.asdict(end) for end in tokens.chunk_ends()],
                  "likely": likely_tags(editor, entry), "pair": pair_of(editor, entry),
                  "tokens": tokens_of(entry.caption, editor.tokens.count), "shared": len(entry.caption.users) > 1,
                  "lines": len([line for line in (entry.caption.text or "").splitlines() if line.strip()])}
        if entry.width:
            fit = BucketRule.of(editor.settings).fit(entry.width, entry.height)
            answer["bucket"] = [fit.bucket.width, fit.bucket.height]
            answer["crop"] = [round(side, 1) for side in fit.kept_of(entry.width, entry.height)]
        return answer


def pair_of(editor: CaptionEditor, entry: Entry) -> list[dict[str, Any]]:
    """The image that this one was edited from, or its edited versions: number and path."""
    pairs = editor.index.pairs
    source = pairs.source_of(entry.path)
    found = [editor.index.of_path(path) for path in ([source] if source else pairs.edits_of(entry.path))]
    return [{"number": one.id, "path": one.path} for one in found if one is not None]


def _sorted(index: EditorIndex, numbers: Sequence[int], sort: str) -> list[int]:
    key = _SORTS.get(sort)
    return list(numbers) if key is None else sorted(numbers, key=lambda number: key(index.entries[number]))
