"""Who may call the tab's routes, and which files they may name."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPBasic

from ..errors import DatasetError
from ..files.confine import is_inside, local_path
from ..host.interface import Host

HEADER = "X-Train-Lora"


def guards(host: Host, app: FastAPI) -> list[Any]:
    """The dependencies that every route gets: the webui's own login, and its rules on remote access.

    Gradio's ``/login_check`` stands for its login; without one, ``--api-auth`` is asked for where it is set.
    Raises ``RuntimeError`` if ``app`` has no ``/login_check``, since then nothing could be protected.
    """
    login_check = next((route for route in app.routes if getattr(route, "path", "") == "/login_check"), None)
    if login_check is None:
        raise RuntimeError("This gradio has no /login_check route, so the Train LoRA tab cannot check who is calling.")
    dependencies = [Depends(_allowed(host)), Depends(login_check.endpoint)]  # type: ignore[attr-defined]
    if getattr(app, "auth", None) is None:
        dependencies.append(Depends(_api_login(host)))
    return dependencies


def _allowed(host: Host) -> Callable[[Request], None]:
    def check(request: Request) -> None:
        refused = host.access().refused
        if refused:
            raise HTTPException(403, refused)
        if request.method not in ("GET", "HEAD") and request.headers.get(HEADER) != "1":
            raise HTTPException(403, f"The header {HEADER}: 1 is missing. It keeps other pages from acting here.")

    return check


def _api_login(host: Host) -> Callable[[Request], Coroutine[Any, Any, None]]:
    read_header = HTTPBasic(auto_error=False)

    async def check(request: Request) -> None:
        passwords = host.access().api_passwords
        if not passwords:
            return
        given = await read_header(request)
        expected = passwords.get(given.username) if given else None
        if given is None or expected is None or not secrets.compare_digest(given.password.encode(), expected.encode()):
            raise HTTPException(401, "Incorrect user or password.", {"WWW-Authenticate": "Basic"})

    return check


_FOLDERS = ("train_data_dir", "reg_data_dir", "validation_data_dir")
"""The settings of a dataset that name a folder."""


def dataset_folder(host: Host, text: str) -> Path:
    """The folder that ``text`` names, links resolved. Raises ``DatasetError`` if it may not be used or is none."""
    if not text.strip().strip('"'):
        raise DatasetError("No folder is given. Type the path of the folder with your pictures.")
    try:
        folder = Path(os.path.realpath(local_path(text)))
        allowed = host.access().folders
        if allowed is not None and not any(is_inside(root, folder) for root in allowed):
            raise DatasetError(f"The webui was started with --hide-ui-dir-config, so only folders under "
                               f"{' or '.join(str(root) for root in allowed)} can be used, not {folder}.")
        found = folder.is_dir()
    except (OSError, ValueError) as problem:  # too long, or no proper text
        raise DatasetError(f"{text[:200]!r} cannot be a folder: {problem}.") from problem
    if not found:
        raise DatasetError(f"There is no folder {str(folder)[:400]}. Check the path, or make the folder and put "
                           "pictures in it.")
    return folder


def folders_of(host: Host, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The dataset ``settings`` with each folder in them checked. Raises ``DatasetError`` as ``dataset_folder`` does."""
    return {name: str(dataset_folder(host, str(value))) if name in _FOLDERS and value else value
            for name, value in settings.items()}
