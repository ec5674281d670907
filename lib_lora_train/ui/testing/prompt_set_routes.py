"""Routes of the library of test prompts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from ..services import Services
from .prompt_sets import PromptSets

_FOLDER = "test_prompts"


class NameRequest(BaseModel):
    """A set, by name."""

    name: str


class SaveRequest(NameRequest):
    """Prompts, one per line, and the name to save them under."""

    text: str
    replace: bool = False


class RenameRequest(NameRequest):
    """A set and its new name."""

    new_name: str


class ImportRequest(BaseModel):
    """Sets as text, and the name for the prompts before the first heading."""

    text: str
    name: str = ""


def register(router: APIRouter, services: Services) -> None:
    """Add ``/prompt-sets`` and its subroutes."""
    sets, writing = PromptSets(services.runs_dir.parent / _FOLDER), threading.Lock()

    def everything() -> dict[str, Any]:
        return {"sets": sets.all()}

    def after(act: Callable[[], object]) -> dict[str, Any]:
        with writing:
            act()
            return everything()

    def save(request: SaveRequest) -> dict[str, Any]:
        return after(lambda: sets.save(request.name, request.text, replace=request.replace))

    def rename(request: RenameRequest) -> dict[str, Any]:
        return after(lambda: sets.rename(request.name, request.new_name))

    def remove(request: NameRequest) -> dict[str, Any]:
        return after(lambda: sets.remove(request.name))

    def take(request: ImportRequest) -> dict[str, Any]:
        with writing:
            return {"added": sets.take(request.text, request.name), **everything()}

    def file(name: str = "") -> dict[str, Any]:
        return {"text": sets.text(name), "file_name": f"{name or 'test prompts'}.txt"}

    router.add_api_route("/prompt-sets", everything, methods=["GET"])
    router.add_api_route("/prompt-sets", save, methods=["POST"])
    router.add_api_route("/prompt-sets/rename", rename, methods=["POST"])
    router.add_api_route("/prompt-sets/remove", remove, methods=["POST"])
    router.add_api_route("/prompt-sets/import", take, methods=["POST"])
    router.add_api_route("/prompt-sets/file", file, methods=["GET"])
