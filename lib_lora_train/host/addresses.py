"""The host names of the webui, from its options."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

_AT_HOME = ("", ".local", ".lan", ".home", ".home.arpa", ".internal", ".localdomain")
"""Suffixes that home networks add to machine names; none of them exists on the internet."""

_SHARE = (".gradio.live", ".gradio.app")
_NGROK = (".ngrok.io", ".ngrok.app", ".ngrok.dev", ".ngrok-free.app", ".ngrok-free.dev")

_OPENING = ("listen", "share", "ngrok", "gradio_auth", "gradio_auth_path", "api_auth", "cloudflared", "localhostrun",
            "remotemoe", "googleusercontent", "jprq", "bore", "localtunnel", "serveo")
"""Options that open the webui to others or expect others, those of extensions that make tunnels included."""


def host_names(options: Any, share_url: str | None) -> tuple[str, ...]:
    """Host names in lower case: the machine's own, ``--server-name``, the share link, ngrok's domain, and those of
    ``--cors-allow-origins``.
    """
    return tuple(dict.fromkeys(name.lower().rstrip(".") for name in _names(options, share_url) if name))


def host_endings(options: Any) -> tuple[str, ...]:
    """Allowed host name suffixes, if ``--share`` or ``--ngrok`` creates a new name at each start."""
    return (*(_SHARE if getattr(options, "share", False) else ()), *(_NGROK if getattr(options, "ngrok", None) else ()))


def reached_from_elsewhere(options: Any, page: Any) -> bool:
    """Whether other machines can reach the webui, by its options and gradio's ``page``, ``None`` if it is unknown.

    Gradio reads a further address from an environment variable, and makes a share link of its own on Colab. Whoever
    sets a password expects others, who may come through a tunnel that no option names.
    """
    if any(getattr(options, name, None) for name in _OPENING):
        return True
    if getattr(page, "auth", None) or getattr(page, "share_url", None):
        return True
    served = [getattr(options, "server_name", None), getattr(page, "server_name", None),
              os.environ.get("GRADIO_SERVER_NAME")]
    return any(not _is_loopback(name) for name in served if name)


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name.lower() == "localhost"


def _names(options: Any, share_url: str | None) -> Iterator[str]:
    own = socket.gethostname()
    yield own
    yield from (own.partition(".")[0] + ending for ending in _AT_HOME)
    yield getattr(options, "server_name", None) or ""
    yield _name_in(share_url or "")
    given = getattr(options, "ngrok_options", None)
    if getattr(options, "ngrok", None) and isinstance(given, dict):
        yield from (str(given.get(key) or "") for key in ("domain", "hostname"))
    for origin in (getattr(options, "cors_allow_origins", None) or "").split(","):
        yield _name_in(origin)


def _name_in(url: str) -> str:
    try:
        return urlsplit(url.strip()).hostname or ""
    except ValueError:  # brackets that do not enclose an IP address
        return ""
