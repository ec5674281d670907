"""Routes that take images into a dataset: uploaded in pieces, looked at, and then added."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import BaseModel, Field

from ....captions.editor.editor import CaptionEditor
from ....captions.editor.pictures import target_folder
from ....captions.intake.add import add_arrived
from ....captions.intake.arrange import Arrangement, IntakeChoice, arrange, has_concept_folders
from ....captions.intake.intake import Intake, remove_leftovers
from ....captions.intake.names import safe_name
from ....errors import DatasetError
from ....files.confine import local_path
from ....files.writing import writing
from ...access import dataset_folder
from ...services import Services
from .. import answers
from ..answers import Find, respond
from ..editors import Session
from ..requests import SessionRequest

PIECE_BYTES = 4 << 20
"""The size of one piece of an upload; a request body may be twice as large."""
_MOST_OPEN = 16
_IDLE_SECONDS = 3600.0
_LISTED = 200


class BeginRequest(SessionRequest):
    """An import of ``files`` files with ``size_bytes`` bytes together."""

    files: int = Field(ge=0)
    size_bytes: int = Field(default=0, ge=0)


class IntakeRequest(SessionRequest):
    """An import that has arrived, and what the user decides about it: see ``IntakeChoice``."""

    intake: str
    target: str = ""
    keep_folders: bool = False
    duplicates: bool = False


class NewSetRequest(BaseModel):
    """A new folder ``name`` in the folder ``parent``."""

    parent: str
    name: str


@dataclass
class OpenIntake:
    """An import that is not finished. ``digests`` caches those of images in the dataset."""

    intake: Intake
    digests: dict[str, str] = field(default_factory=dict)
    used: float = field(default_factory=time.monotonic)


class Intakes:
    """The imports that are not finished, by id. Thread-safe; those left idle for an hour are deleted."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, OpenIntake] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, folder: Path, files: int, size_bytes: int) -> Intake:
        """Start an import. Raises ``DatasetError`` if it is too large or the folder is not writable."""
        self._close_idle()
        with self._lock:
            remove_leftovers(folder)
            intake = Intake(folder, files, size_bytes)
            self._open[intake.id] = OpenIntake(intake)
        return intake

    def of(self, intake_id: str, folder: Path | None = None) -> OpenIntake:
        """The import ``intake_id``. Raises ``DatasetError`` if it does not exist, or is for another folder."""
        with self._lock:
            found = self._open.get(intake_id)
            if found is None or (folder is not None and found.intake.folder != folder):
                raise DatasetError("This import no longer exists: it was cancelled, or the webui was restarted. "
                                   "Add the files again.")
            found.used = time.monotonic()
            self._open.move_to_end(intake_id)
            return found

    def close(self, intake_id: str) -> None:
        """End an import and delete what is left of it; does nothing if it has ended."""
        with self._lock:
            found = self._open.pop(intake_id, None)
        if found is not None:
            found.intake.close()

    def _close_idle(self) -> None:
        with self._lock:
            ids = list(self._open)
            idle = [key for place, key in enumerate(ids) if place < len(ids) - _MOST_OPEN + 1
                    or time.monotonic() - self._open[key].used > _IDLE_SECONDS]
        for key in idle:
            self.close(key)


def register_intake(router: APIRouter, services: Services, find: Find, intakes: Intakes) -> None:
    """Add the routes below ``/captions/intake``."""
    def begin(request: BeginRequest) -> Response:
        def answer(session: Session) -> dict[str, Any]:
            _ = session.editor.journal  # without it nothing can be added
            intake = intakes.begin(session.editor.folder, request.files, request.size_bytes)
            return {"intake": intake.id, "piece_bytes": PIECE_BYTES}

        return respond(find, request, answer)

    async def piece(request: Request, intake: str, number: int, path: str, start: int, total: int) -> dict[str, str]:
        receiver = intakes.of(intake).intake
        content = await request.body()
        return {"refused": await run_in_threadpool(receiver.receive, number, path, start, total, content)}

    def plan(request: IntakeRequest) -> Response:
        def facts(session: Session) -> dict[str, Any]:
            editor = session.editor
            known = intakes.of(request.intake, editor.folder)
            with editor.lock:
                found = arrange(editor, known.intake, choice_of(editor, request), known.digests)
            return {"concept_folders": has_concept_folders(known.intake.arrived), **_plan(found)}

        return respond(find, request, facts)

    def add(request: IntakeRequest) -> Response:
        def through(session: Session) -> dict[str, Any]:
            known = intakes.of(request.intake, session.editor.folder)
            try:
                done, added = add_arrived(session.editor, known.intake, choice_of(session.editor, request),
                                          known.digests)
            finally:
                session.settle_soon()
            intakes.close(request.intake)
            session.read_sizes_soon()
            return {**answers.outcome(session, done), "added": added}

        return respond(find, request, through)

    def cancel(request: IntakeRequest) -> Response:
        def end(session: Session) -> dict[str, Any]:
            intakes.close(request.intake)
            return answers.state(session)

        return respond(find, request, end)

    def new_set(request: NewSetRequest) -> dict[str, str]:
        return {"folder": str(make_set_folder(services, request.parent, request.name))}

    for name, act in (("begin", begin), ("plan", plan), ("add", add), ("cancel", cancel)):
        router.add_api_route(f"/captions/intake/{name}", act, methods=["POST"])
    router.add_api_route("/captions/intake/piece", piece, methods=["POST"])
    router.add_api_route("/captions/intake/new-set", new_set, methods=["POST"])


def choice_of(editor: CaptionEditor, request: IntakeRequest) -> IntakeChoice:
    """The user's choice with its folder checked. Raises ``DatasetError``."""
    return IntakeChoice(target_folder(editor, request.target), request.keep_folders, request.duplicates)


def make_set_folder(services: Services, parent: str, name: str) -> Path:
    """Create the folder ``name`` for a new dataset in ``parent`` and return it; an empty one that exists is used.

    Raises ``DatasetError`` if the parent may not be used, or the folder is not empty, and ``WriteError``.
    """
    above = dataset_folder(services.host, parent)
    local_path(parent)
    cleaned = name.strip()
    if not cleaned or safe_name(cleaned) != cleaned:
        proposed = f" Call it {safe_name(cleaned)!r}." if cleaned and safe_name(cleaned) != "image" else ""
        raise DatasetError(f"{cleaned[:200]!r} cannot be the name of a folder on every system.{proposed}")
    folder = above / cleaned
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise DatasetError(f"{folder} exists already and is not empty. Give the new set another name, or open that "
                           "folder and add the images to it.")
    with writing(folder):
        folder.mkdir(exist_ok=True)
    return folder


def _plan(found: Arrangement) -> dict[str, Any]:
    """What would be added and what not, for the page; long lists are cut."""
    return {"images": len(found.images), "captions": len(found.captions), "masks": len(found.masks),
            "names": _pairs([(one.file.path, one.target) for one in found.images]),
            "same": _pairs(found.same), "same_total": len(found.same),
            "left": _pairs(found.left), "left_total": len(found.left)}


def _pairs(items: Sequence[tuple[str, str]]) -> list[list[str]]:
    return [list(item) for item in items[:_LISTED]]
