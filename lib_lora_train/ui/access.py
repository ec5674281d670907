"""Who may call the tab's routes, and which files they may name."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPBasic

from ..errors import DatasetError, RunError
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


def dataset_folder(host: Host, text: str) -> Path:
    """The folder that ``text`` names, links resolved. Raises ``DatasetError`` if it may not be used or is none."""
    cleaned = text.strip().strip('"')
    if not cleaned:
        raise DatasetError("No folder is given. Type the path of the folder with your pictures.")
    try:
        folder = Path(cleaned).expanduser()
        if not folder.is_absolute():
            raise DatasetError(f"{cleaned} is not a full path. Begin with the drive or with /.")
        folder = folder.resolve()
    except (OSError, RuntimeError, ValueError) as problem:  # too long, a user that is none, a zero byte
        raise DatasetError(f"{cleaned[:200]!r} cannot be a folder: {problem}.") from problem
    allowed = host.access().folders
    if allowed is not None and not any(folder.is_relative_to(root.resolve()) for root in allowed):
        raise DatasetError(f"The webui was started with --hide-ui-dir-config, so only folders under "
                           f"{' or '.join(str(root) for root in allowed)} can be used, not {folder}.")
    if not folder.is_dir():
        raise DatasetError(f"There is no folder {folder}. Check the path, or make the folder and put pictures in it.")
    return folder


def file_inside(folder: Path, relative: str) -> Path:
    """The file ``relative`` of ``folder``; links may not lead out of it. Raises ``RunError`` if there is none."""
    inside = folder.resolve()
    try:
        path = (inside / relative).resolve()
        found = not Path(relative).is_absolute() and path.is_relative_to(inside) and path.is_file()
    except (OSError, ValueError):  # too long, or a zero byte
        found = False
    if not found:
        raise RunError(f"There is no file {relative[:200]!r} in {folder.name}.")
    return path
