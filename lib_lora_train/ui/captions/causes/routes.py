"""Routes of the window "What is wrong here?": a sample, names for what is marked in it, and the images behind it."""

from __future__ import annotations

import base64
import binascii
import dataclasses
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from ....captions.causes.lists import TagCause, cause_of, counts_of
from ....captions.causes.samples import WHOLE, Sample, Samples, part_file
from ....captions.causes.tags import named_tags
from ....captions.editor.editor import CaptionEditor
from ....captions.intake.candidates import caption_of_prompt
from ....captions.tags import plain
from ....config.groups.tagging import CONFIDENCES_ONLY
from ....errors import DatasetError
from ....pictures.caption_files import split_tags
from ....pictures.editing.turning import Frame
from ....runs.folder import TAG
from ...services import Services
from .. import answers
from ..answers import Find, respond
from ..editors import Session
from ..folder_runs import queue_run
from ..requests import NumbersRequest, SessionRequest, named
from ..tagging_job import complete_tag_job, device_of
from .search import Searches

FOLDER = "causes"
_LISTED = 60
_LONGEST_PROMPT = 20_000


class SampleRequest(SessionRequest):
    """A generated image to examine: a PNG, JPEG or WebP file in base64."""

    image: str


class CauseRequest(SessionRequest):
    """The examined image ``sample``, and what is marked: left, top, right and bottom in pixels, ``None`` for nothing.

    ``prompt`` is what it was generated from, empty if unknown.
    """

    sample: str
    frame: list[int] | None = None
    prompt: str = ""

    def place(self) -> Frame | None:
        """The marked part. Raises ``DatasetError`` if it does not have four sides."""
        if self.frame is None:
            return None
        if len(self.frame) != 4:
            raise DatasetError("A mark has four sides: left, top, right and bottom.")
        return Frame(*self.frame)


class TaggerRequest(CauseRequest):
    """Name the marked part with the tagger ``model`` on ``provider``."""

    model: str
    provider: str = "auto"


class NearestRequest(CauseRequest):
    """Search the nearest training images: ``begin`` searches again, ``stop`` ends the measuring of images."""

    begin: bool = False
    stop: bool = False


class TagCauseRequest(SessionRequest):
    """A tag that a sample shows unasked, the sample's prompt, and the trigger word."""

    tag: str
    prompt: str = ""
    activation_tag: str = ""


class UnknownRequest(NumbersRequest):
    """Tag the images ``numbers`` with the tagger ``model`` on ``provider``, without writing captions."""

    model: str
    provider: str = "auto"


def register_causes(router: APIRouter, services: Services, find: Find) -> None:
    """Add ``/captions/causes/sample``, ``name``, ``named``, ``tag``, ``nearest`` and ``confidences``."""
    samples, searches = Samples(services.runs_dir.parent / FOLDER), Searches()

    def sample(request: SampleRequest) -> Response:
        return respond(find, request, lambda session: _added(samples, request.image))

    def name(request: TaggerRequest) -> Response:
        return respond(find, request, lambda session: {
            "run": name_marked(services, session.editor, samples.of(request.sample), request)})

    def found(request: CauseRequest) -> Response:
        return respond(find, request, lambda session: named_in(session.editor, samples.of(request.sample), request))

    def tag(request: TagCauseRequest) -> Response:
        return respond(find, request, lambda session: cause(session, request))

    def nearest(request: NearestRequest) -> Response:
        def answer(session: Session) -> dict[str, Any]:
            search = searches.of(samples.of(request.sample), session, request.begin)
            search.stopped = search.stopped or request.stop
            return search.answer(session)

        return respond(find, request, answer)

    def confidences(request: UnknownRequest) -> Response:
        return respond(find, request, lambda session: {"run": tag_unknown(services, session.editor, request)})

    for route, act in (("sample", sample), ("name", name), ("named", found), ("tag", tag), ("nearest", nearest),
                       ("confidences", confidences)):
        router.add_api_route(f"/captions/causes/{route}", act, methods=["POST"])


def _added(samples: Samples, image: str) -> dict[str, Any]:
    try:
        content = base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError) as problem:
        raise DatasetError(f"The sample did not arrive whole: {problem}. Open the window again.") from problem
    added = samples.add(content)
    width, height = added.picture().size
    return {"sample": added.id, "width": width, "height": height}


def name_marked(services: Services, editor: CaptionEditor, sample: Sample, request: TaggerRequest) -> str:
    """Queue a tagging run on the sample and its marked part; returns the run's id.

    Raises ``ConfigError`` if the tagger cannot be used, ``WorkerEnvironmentError`` if the worker could not run.
    """
    frame = request.place()
    images = [WHOLE] if frame is None else [WHOLE, sample.mark(frame)]
    return _queued(services, editor, request.model, request.provider, images, str(sample.folder))


def tag_unknown(services: Services, editor: CaptionEditor, request: UnknownRequest) -> str:
    """Queue a tagging run on images of the set that writes no captions; returns the run's id. Raises as above."""
    images = [editor.entry(number).path for number in named(request)]
    return _queued(services, editor, request.model, request.provider, images, str(editor.folder))


def _queued(services: Services, editor: CaptionEditor, model: str, provider: str, images: list[str],
            folder: str) -> str:
    """Queue a run for the confidences of ``images`` in ``folder``; the tagger is checked as in its panel."""
    values = {"dataset": {"train_data_dir": str(editor.folder), "images": images,
                          "caption_extension": editor.settings.caption_extension},
              "tagger": {"model": model, "provider": provider}, "write": {"mode": CONFIDENCES_ONLY}}
    job = complete_tag_job(services, values)
    job = dataclasses.replace(job, dataset=dataclasses.replace(job.dataset, train_data_dir=folder))
    services.environment.command([TAG])
    return queue_run(services, job, TAG, "tags", device_of(services, job.tagger.provider)).id


def named_in(editor: CaptionEditor, sample: Sample, request: CauseRequest) -> dict[str, Any]:
    """The tags that the tagger found in the marked part, or in the whole image, with their counts in the set."""
    frame = request.place()
    whole = sample.confidences(WHOLE)
    marked = {} if frame is None else sample.confidences(part_file(frame))
    prompted = frozenset(plain(tag) for tag in tags_of_prompt(editor, request.prompt))
    found = named_tags(marked, whole, prompted)
    with editor.lock:
        counts = counts_of(editor.index, editor.confidences(), [one.tag for one in found])
    return {"tagged": bool(whole), "tags": [{**dataclasses.asdict(one), "captions": counts[one.tag][0],
                                             "untagged": counts[one.tag][1]} for one in found]}


def cause(session: Session, request: TagCauseRequest) -> dict[str, Any]:
    """The images that show the tag, in lists, and what that means. Raises ``DatasetError`` if no tag is given."""
    editor = session.editor
    tag = " ".join(request.tag.split())
    if not tag or len(tag) > 1000:
        raise DatasetError("No tag is given. Type what is wrong, such as bag." if not tag else
                           "A tag has at most 1000 characters here. Type a shorter one.")
    with editor.lock:
        found = cause_of(editor.index, editor.confidences(), tag, tags_of_prompt(editor, request.prompt),
                         request.activation_tag)
        return {**dataclasses.asdict(found), "cells": _cells(editor, found), **answers.state(session)}


def _cells(editor: CaptionEditor, found: TagCause) -> list[dict[str, Any]]:
    """The first images of each list, as the grid shows them."""
    numbers = [one.number for one in (*found.untagged[:_LISTED], *found.tagged[:_LISTED])]
    return [answers.cell(editor.index.entries[number]) for number in numbers]


def tags_of_prompt(editor: CaptionEditor, prompt: str) -> list[str]:
    """The tags of a prompt, without LoRAs, weights and the negative prompt."""
    return split_tags(caption_of_prompt(prompt[:_LONGEST_PROMPT]), editor.settings.caption_separator)
