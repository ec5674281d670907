"""Opening a folder on the user's screen, only for a browser on the same machine."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
import sys
from pathlib import Path

from fastapi import Request

from ...errors import RunError

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port",
              "x-forwarded-server", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "via")


def is_local(request: Request) -> bool:
    """Whether ``request`` comes from a browser on this machine, by address and host name and without a proxy."""
    client = request.client.host if request.client is not None else ""
    name = request.url.hostname or ""
    if any(header in request.headers for header in _FORWARDED):
        return False
    return _is_loopback(client) and (name == "localhost" or _is_loopback(name))


def show_folder(folder: Path) -> None:
    """Open ``folder`` in the system's file manager. Raises ``RunError`` if the folder or a file manager is missing."""
    if not folder.is_dir():
        raise RunError(f"The folder {folder} no longer exists.")
    if sys.platform == "win32":
        os.startfile(folder)
        return
    opener = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
    if opener is None:
        raise RunError(f"No file manager is known on this machine (xdg-open is missing). The folder is {folder}.")
    subprocess.Popen([opener, str(folder)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL, start_new_session=True)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False
