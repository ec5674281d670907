"""Routes of the folder browser and of path completion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from ..config.setting import IMAGES
from ..errors import TrainLoraError
from ..host.interface import Host
from ..pictures.browse import Entry
from .places import Kind, above, beginnings, completed, home, kind_of, known, listed, place, way
from .services import Services
from .train.routes import thumbnail_url

_SMALL = 128


class PlacesRequest(BaseModel):
    """The kind of path, the folder (empty for the starting points), and the requested part of the list."""

    kind: str
    path: str = ""
    start: int = 0
    part: str = ""
    hidden: bool = False


class CompleteRequest(BaseModel):
    """The kind of path and its beginning."""

    kind: str
    text: str


def register(router: APIRouter, services: Services) -> None:
    """Add ``/places`` and ``/places/complete``."""

    def places(request: PlacesRequest) -> dict[str, Any]:
        return browse_places(services, request)

    def complete(request: CompleteRequest) -> dict[str, Any]:
        kind = kind_of(services.host, request.kind)
        if not request.text.strip():
            found, more = beginning_entries(services, request.kind, kind), False
        else:
            found, more = completed(kind, request.text)
        return {"entries": [_shown(services.host, request.kind, entry) for entry in found], "more": more}

    router.add_api_route("/places", places, methods=["POST"])
    router.add_api_route("/places/complete", complete, methods=["POST"])


def browse_places(services: Services, request: PlacesRequest) -> dict[str, Any]:
    """Return a page of a folder, or the starting points if none is given and there are several.

    Raises ``DatasetError`` if the folder cannot be read or may not be listed.
    """
    kind = kind_of(services.host, request.kind)
    first = beginnings(kind)
    if not request.path.strip() and (request.kind == IMAGES or len(first) != 1):
        entries = beginning_entries(services, request.kind, kind)
        return {"folder": "", "above": None, "way": [], "itself": None, "note": "", "start": 0, "total": len(entries),
                "cut": False, "entries": [_shown(services.host, request.kind, entry) for entry in entries]}
    folder, note = place(kind, request.path.strip() or str(first[0]))
    page, itself = listed(kind, folder, request.start, request.part, request.hidden)
    higher = above(kind, folder)
    return {"folder": str(folder), "above": None if higher is None else str(higher),
            "way": [{"name": path.name or str(path), "path": str(path)} for path in way(kind, folder)],
            "itself": _shown(services.host, request.kind, itself), "note": note, "start": page.start,
            "total": page.total, "cut": page.cut,
            "entries": [_shown(services.host, request.kind, entry) for entry in page.entries]}


def beginning_entries(services: Services, name: str, kind: Kind) -> list[Entry]:
    """Return the starting points as entries: for image folders the recent ones with their images, then the roots."""
    found = []
    for folder in services.trigger_words.recent() if name == IMAGES else ():
        try:
            path, note = place(kind, folder)
            if not note:
                found.append(known(kind, path))
        except TrainLoraError:
            continue  # gone, or no longer listed
    return [*found, *(Entry(_name(services.host, path), str(path), True) for path in beginnings(kind))]


def _shown(host: Host, name: str, entry: Entry) -> dict[str, Any]:
    """Return ``entry`` for the page: ``value`` is the text to type for it, thumbnails are URLs."""
    path = Path(entry.path)
    value = entry.path
    if not entry.folder and path.is_relative_to(host.lora_dir):
        value = path.relative_to(host.lora_dir).as_posix().removesuffix(".safetensors")
    return {"name": entry.name, "path": entry.path, "value": value, "folder": entry.folder, "images": entry.images,
            "captions": entry.captions, "more": entry.more, "problem": entry.problem,
            "thumbnails": [thumbnail_url(path, picture, _SMALL) for picture in entry.thumbnails]}


def _name(host: Host, path: Path) -> str:
    if path == host.lora_dir:
        return "LoRA folder"
    if path in home():
        return "Home"
    return str(path)
