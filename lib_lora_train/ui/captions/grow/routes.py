"""Routes of "Grow": candidates that a quick LoRA draws, chosen into a small set."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import Field

from ....captions.editor.editor import CaptionEditor
from ....captions.growing import next_target, prompts_for, quick_repeats
from ....captions.intake.candidates import Generated, add_generated, caption_of_prompt
from ....errors import DatasetError, RunError
from ....host.interface import PictureSettings
from ....pictures.images import open_picture
from ....pictures.origin import origin_of
from ....pictures.weights import checked
from ...lora_files import lora_file, lora_names_in
from ...services import Services
from .. import answers
from ..answers import Find, respond
from ..editors import Session
from ..intake.exchange_routes import image_to_send, size_to_draw
from ..requests import SessionRequest, dataset_settings
from .candidates import MOST_AT_ONCE, thumbnail

_PROMPTS = 8
_LORAS = 200
_LONGEST_PROMPT = 5000
_STRENGTHS = (0.0, 2.0)


class GrowRequest(SessionRequest):
    """``known`` are the candidates whose thumbnails the page already has."""

    activation_tag: str = ""
    known: list[str] = Field(default_factory=list)


class DrawRequest(SessionRequest):
    """An image for each of ``prompts``, with ``lora`` (a file of the LoRA folder, none if empty) at ``strength``.

    ``resolution`` is the form's, in pixels; empty for that of the opened set.
    """

    prompts: list[str]
    lora: str = ""
    strength: float = 0.8
    cfg_scale: float = 6.0
    steps: int = 24
    seed: int = 1
    resolution: str = ""


class CandidatesRequest(SessionRequest):
    """Candidates by name; ``weight`` is the loss weight that they get in the set."""

    names: list[str]
    weight: float = 1.0


def register_growing(router: APIRouter, services: Services, find: Find) -> None:
    """Add ``/captions/grow`` and ``/captions/grow/draw``, ``stop``, ``add``, ``discard`` and ``send``."""
    desk = services.candidates

    def grow(request: GrowRequest) -> Response:
        return respond(find, request, lambda session: _state(services, session.editor, request))

    def draw(request: DrawRequest) -> Response:
        def begin(session: Session) -> dict[str, Any]:
            _start(services, session.editor, request)
            return desk.state(session.editor.folder)

        return respond(find, request, begin)

    def stop(request: SessionRequest) -> Response:
        def end(session: Session) -> dict[str, Any]:
            desk.stop(session.editor.folder)
            return desk.state(session.editor.folder)

        return respond(find, request, end)

    def add(request: CandidatesRequest) -> Response:
        def through(session: Session) -> dict[str, Any]:
            editor = session.editor
            weight = checked(request.weight, 1).weight
            prompts = {candidate.name: candidate.prompt for candidate in desk.all(editor.folder)}
            images = [Generated(desk.file(editor.folder, name), caption_of_prompt(prompts.get(name, "")))
                      for name in _named(request)]
            try:
                done, numbers = add_generated(editor, images, weight)
            finally:
                session.settle_soon()
            desk.discard(editor.folder, [image.file.stem for image in images])
            session.read_sizes_soon()
            return {**answers.outcome(session, done), "added": numbers}

        return respond(find, request, through)

    def discard(request: CandidatesRequest) -> Response:
        def through(session: Session) -> dict[str, Any]:
            desk.discard(session.editor.folder, _named(request))
            return {"left": len(desk.all(session.editor.folder))}

        return respond(find, request, through)

    def send(request: CandidatesRequest) -> Response:
        return respond(find, request, lambda session: _sent(services, session.editor, _named(request)[0]))

    for name, act in (("", grow), ("/draw", draw), ("/stop", stop), ("/add", add), ("/discard", discard),
                      ("/send", send)):
        router.add_api_route(f"/captions/grow{name}", act, methods=["POST"])


def _state(services: Services, editor: CaptionEditor, request: GrowRequest) -> dict[str, Any]:
    with editor.lock:
        entries = [editor.index.entries[number] for number in editor.order()]
    made = sum(bool(origin_of(entry.name)) for entry in entries)
    images = len(entries)
    known = set(request.known)
    drawing = services.candidates.state(editor.folder)  # first, so that a page that reads finished has all of them
    candidates = services.candidates.all(editor.folder)
    return {"images": images, "made": made, "target": next_target(images), "repeats": quick_repeats(images),
            "prompts": prompts_for(entries, request.activation_tag.strip(), _PROMPTS),
            "loras": lora_names_in(services.host.lora_dir)[:_LORAS], "size": list(editor.settings.size),
            "candidates": [{"name": candidate.name, "prompt": candidate.prompt, "lora": candidate.lora,
                            "seed": candidate.seed, "image": "" if candidate.name in known else thumbnail(
                                services.candidates.file(editor.folder, candidate.name))}
                           for candidate in candidates],
            "drawing": drawing}


def _start(services: Services, editor: CaptionEditor, request: DrawRequest) -> None:
    """Raises ``RunError``, ``DatasetError`` or ``CheckpointError`` if it cannot be drawn."""
    if services.host.checkpoint() is None:
        raise RunError("The webui has no checkpoint loaded. Choose one at the top of the page.")
    lowest, highest = _STRENGTHS
    if not lowest <= request.strength <= highest:
        raise DatasetError(f"The strength is {request.strength:g}. Give a number from {lowest:g} to {highest:g}.")
    if not 1 <= request.steps <= 150 or not 1 <= request.cfg_scale <= 30 or not 0 <= request.seed < 1 << 32:
        raise DatasetError("Steps go from 1 to 150, the CFG scale from 1 to 30, the seed from 0 to 4294967295.")
    prompts = [prompt.strip() for prompt in request.prompts if prompt.strip()]
    if len(prompts) > MOST_AT_ONCE or any(len(prompt) > _LONGEST_PROMPT for prompt in prompts):
        raise DatasetError(f"At most {MOST_AT_ONCE} prompts of {_LONGEST_PROMPT:,} characters can be generated from at "
                           "once.")
    tag = ""
    if request.lora:
        file = lora_file(services.host.lora_dir, request.lora, "The LoRA")
        tag = f"<lora:{file.stem}:{request.strength:g}>"
    size = dataset_settings({"resolution": request.resolution}).size if request.resolution else editor.settings.size
    settings = PictureSettings(*size_to_draw(*size, size), request.steps,
                               request.cfg_scale, request.seed, services.host.clip_skip())
    services.candidates.start(editor.folder, prompts, tag, settings)


def _named(request: CandidatesRequest) -> list[str]:
    if not request.names:
        raise DatasetError("No candidate is chosen.")
    return list(dict.fromkeys(request.names))


def _sent(services: Services, editor: CaptionEditor, name: str) -> dict[str, Any]:
    """The candidate for the webui's tabs, as ``/captions/send`` gives an image."""
    picture = open_picture(services.candidates.file(editor.folder, name))
    found = next((one for one in services.candidates.all(editor.folder) if one.name == name), None)
    return image_to_send(editor, picture, caption_of_prompt(found.prompt) if found is not None else "")
