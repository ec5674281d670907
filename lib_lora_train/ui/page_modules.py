"""The page's JavaScript modules, served under a versioned path so that no browser caches an outdated one."""

from __future__ import annotations

import functools
import hashlib

from fastapi import APIRouter
from fastapi.responses import Response

from ..environment.folders import EXTENSION_FOLDER
from ..files.confine import open_inside
from .services import Services

MODULES = EXTENSION_FOLDER / "javascript" / "modules"
MAIN = "main.js"
_FOR_EVER = "private, max-age=31536000, immutable"


@functools.cache
def modules_version() -> str:
    """Return a version derived from the modules' content, constant for the life of the process."""
    digest = hashlib.sha256()
    for file in sorted(MODULES.rglob("*.js")):
        digest.update(file.relative_to(MODULES).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def main_module() -> str:
    """Return the URL of the first module, relative to the webui's address."""
    return f"./train-lora/js/{modules_version()}/{MAIN}"


def register(router: APIRouter, services: Services) -> None:
    """Add ``/js/<version>/<path>``."""

    def module(version: str, path: str) -> Response:
        if version != modules_version() or not path.endswith(".js"):
            return Response("This page is of another version of the extension. Reload it.", 404)
        with open_inside(MODULES, path) as file:
            return Response(file.read(), media_type="text/javascript", headers={"Cache-Control": _FOR_EVER})

    router.add_api_route("/js/{version}/{path:path}", module, methods=["GET"])
