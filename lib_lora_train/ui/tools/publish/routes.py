"""Routes that publish a LoRA: what its card can say, the card as text, the sidecar, and the folder."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from ....errors import CheckpointError, RunError
from ....runs.folder import RunFolder
from ...lora_files import lora_file
from ...runs.open_folder import is_local, show_folder
from ...services import Services
from ..card import card_of
from .choices import LICENSES, CardChoices, Remembered, check_choices, remember, remembered
from .facts import LoraStory, story_of, story_without_name
from .folder import COVER, image_place, planned_changes, write_folder
from .images import image_bytes
from .known import names_left, private_folders
from .paths import PrivateFolders, without_paths
from .private import without_name
from .sidecar import SidecarChange, has_preview, sidecar_changes, write_sidecar
from .tested import CardImage, Tested, run_of, tested
from .text import PlacedImage, card_text, source_in_words

PUBLISHED = "published"


class SidecarRequest(CardChoices):
    """The fields to write, each with the value that the user saw there, and whether to write the preview."""

    before: dict[str, str] = Field(default_factory=dict)
    preview: bool = False


class FolderRequest(CardChoices):
    """``folder`` is the name of a published folder to show on the screen."""

    folder: str = ""


@dataclass(frozen=True)
class PublishPlan:
    """What the card can say, for the page; ``notes`` are for the user only."""

    name: str
    file: str
    story: LoraStory
    tested: Tested
    credits: tuple[str, ...]
    notes: tuple[str, ...]
    licenses: tuple[tuple[str, str], ...]
    remembered: Remembered
    description: str
    preview: bool
    place: str


@dataclass(frozen=True)
class CardAnswer:
    """The card as Markdown, and what it would change in the webui's sidecar; ``problem``: why that cannot be read.

    ``left_out`` are sentences about what the folder for upload would leave out, and what of the user's it would keep.
    """

    markdown: str
    changes: tuple[SidecarChange, ...]
    problem: str
    left_out: tuple[str, ...]


class _Desk:
    """Does what the routes ask for, with the files of ``services``."""

    def __init__(self, services: Services, writing: threading.Lock) -> None:
        self.services, self.writing = services, writing
        self.data = services.runs_dir.parent

    def plan(self, name: str) -> PublishPlan:
        lora = self.lora(name)
        story, tests = self._public(lora, "")
        kept = _kept(lora, story.trigger)
        written = card_of(lora)["values"]
        notes = [*([story.problem] if story.problem else []), *tests.notes]
        notes += [f"{source.name} is not among your LoRAs, so its author and license are unknown. Look them up before "
                  "you publish." for source in story.sources if not source.found]
        notes += [f"{source.name} states no license. Ask its author before you publish." for source in story.sources
                  if source.found and not source.license]
        if story.missing:
            notes.append(f"The file does not say: {', '.join(story.missing)}.")
        return PublishPlan(name, lora.name, story, tests, tuple(map(source_in_words, story.sources)), tuple(notes),
                           tuple(LICENSES.items()), remembered(self.data),
                           without_name(written["description"], kept) or story.description, has_preview(lora),
                           str(self.data / PUBLISHED))

    def lora(self, name: str) -> Path:
        """The file ``name``: saved by a run, or in the webui's LoRA folder. Raises ``CheckpointError``."""
        saved = next((Path(event["path"]) for run in self.services.index.all() for event in run.saved
                      if event["path"] == name), None)
        return saved if saved is not None and saved.is_file() else lora_file(self.services.host.lora_dir, name, "name")

    def card(self, choices: CardChoices) -> CardAnswer:
        check_choices(choices)
        lora = self.lora(choices.name)
        folders = self._folders(lora)
        story, tests = self._known(lora)
        cover, chosen = _chosen(choices, tests.images)
        changes = tuple(sidecar_changes(lora, _without_folders(choices, folders), story, tests))
        markdown = self._readme(lora, choices, cover, chosen)
        try:
            said = planned_changes(lora, without_dataset=choices.without_dataset, kept=_kept(lora, choices.trigger),
                                   known=folders)[1]
        except CheckpointError:  # the plan says so, and no folder can be made
            said = []
        return CardAnswer(markdown, changes, card_of(lora)["problem"],
                          (*said, *names_left(choices, lora.stem, markdown)))

    def image(self, name: str, image: str) -> Response:
        lora = self.lora(name)
        found = _named(tested(self.services.index, lora).images, image)
        content = image_bytes(lora, self._run(lora), found, _kept(lora, ""), self._folders(lora))
        return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=60"})

    def sidecar(self, request: SidecarRequest) -> dict[str, Any]:
        check_choices(request)
        lora = self.lora(request.name)
        story, tests = self._known(lora)
        cover, _ = _chosen(request, tests.images)
        if request.preview and cover is None:
            raise RunError("Choose a cover first: it becomes the preview.")
        content = None
        if request.preview and cover is not None:
            content = image_bytes(lora, self._run(lora), cover, _kept(lora, request.trigger), self._folders(lora))
        changes = sidecar_changes(lora, _without_folders(request, self._folders(lora)), story, tests)
        with self.writing:
            kept = write_sidecar(lora, changes, request.before, content)
        remember(self.data, request)
        return {"kept": kept}

    def folder(self, choices: FolderRequest) -> dict[str, Any]:
        check_choices(choices)
        lora = self.lora(choices.name)
        cover, chosen = _chosen(choices, tested(self.services.index, lora).images)
        run, kept, folders = self._run(lora), _kept(lora, choices.trigger), self._folders(lora)
        markdown = self._readme(lora, choices, cover, chosen)
        made = write_folder(self.data / PUBLISHED, lora, markdown,
                            image_bytes(lora, run, cover, kept, folders) if cover is not None else None,
                            [image_bytes(lora, run, image, kept, folders) for image in chosen],
                            without_dataset=choices.without_dataset, kept=kept, known=folders)
        remember(self.data, choices)
        return {**dataclasses.asdict(made), "left_out": [*made.left_out, *names_left(choices, lora.stem, markdown)]}

    def show(self, name: str) -> None:
        """Open the published folder ``name`` on this machine's screen. Raises ``RunError``."""
        place = self.data / PUBLISHED
        found = next((folder for folder in place.iterdir() if folder.name == name and folder.is_dir()), None) \
            if place.is_dir() else None
        if found is None:
            raise RunError(f"There is no published folder {name[:100]!r}.")
        show_folder(found)

    def _known(self, lora: Path) -> tuple[LoraStory, Tested]:
        folders = self._folders(lora)
        return story_of(lora, self.services.host.lora_dir, folders), tested(self.services.index, lora, folders)

    def _public(self, lora: Path, trigger: str) -> tuple[LoraStory, Tested]:
        """What is known of ``lora``, without the name of this machine's user."""
        story, tests = self._known(lora)
        kept = _kept(lora, trigger or story.trigger)
        best, bases = (tuple(without_name(line, kept) for line in lines) for lines in (tests.best, tests.bases))
        return story_without_name(story, kept), dataclasses.replace(tests, best=best, bases=bases)

    def _readme(self, lora: Path, choices: CardChoices, cover: CardImage | None, chosen: Sequence[CardImage]) -> str:
        story, tests = self._public(lora, choices.trigger)
        return card_text(lora, _without_folders(choices, self._folders(lora)), story, tests, COVER if cover else "",
                         _placed(chosen, _kept(lora, choices.trigger)))

    def _folders(self, lora: Path) -> PrivateFolders:
        return private_folders(self.services, self._run(lora))

    def _run(self, lora: Path) -> RunFolder | None:
        found = run_of(self.services.index, lora)
        return found[0] if found is not None else None


def register(router: APIRouter, services: Services, writing: threading.Lock) -> None:
    """Add ``/tools/publish``; ``writing`` is held while a card beside a LoRA is read, changed and written."""
    desk = _Desk(services, writing)

    def plan(name: str) -> dict[str, Any]:
        return dataclasses.asdict(desk.plan(name))

    def card(choices: CardChoices) -> dict[str, Any]:
        return dataclasses.asdict(desk.card(choices))

    def show(request: FolderRequest, caller: Request) -> dict[str, Any]:
        if not is_local(caller):
            raise RunError("The folder can only be opened on the machine that runs the webui.")
        desk.show(request.folder)
        return {}

    router.add_api_route("/tools/publish", plan, methods=["GET"])
    router.add_api_route("/tools/publish/card", card, methods=["POST"])
    router.add_api_route("/tools/publish/image", desk.image, methods=["GET"])
    router.add_api_route("/tools/publish/sidecar", desk.sidecar, methods=["POST"])
    router.add_api_route("/tools/publish/folder", desk.folder, methods=["POST"])
    router.add_api_route("/tools/publish/open", show, methods=["POST"])


def _without_folders(choices: CardChoices, folders: PrivateFolders) -> CardChoices:
    """``choices`` with their texts free of the private ``folders``."""
    return choices.copy(update={field: without_paths(str(getattr(choices, field)), folders)
                                for field in ("title", "trigger", "description", "author", "license_text", "credits")})


def _chosen(choices: CardChoices, images: Sequence[CardImage]) -> tuple[CardImage | None, list[CardImage]]:
    """The chosen cover and images. Raises ``RunError`` if one of them does not exist."""
    cover = _named(images, choices.cover) if choices.cover else None
    return cover, [_named(images, one) for one in dict.fromkeys(choices.images)]


def _named(images: Sequence[CardImage], wanted: str) -> CardImage:
    found = next((image for image in images if image.id == wanted), None)
    if found is None:
        raise RunError(f"The image {wanted[:200]!r} is not one of this LoRA's. Open the card again.")
    return found


def _placed(images: Sequence[CardImage], kept: str) -> list[PlacedImage]:
    return [PlacedImage(image_place(number), without_name(image.label, kept), without_name(image.prompt, kept))
            for number, image in enumerate(images, start=1)]


def _kept(lora: Path, trigger: str) -> str:
    """The texts of which a part is never replaced by "user"."""
    return f"{lora.stem} {trigger}"
