"""Who may call the tab's routes, decided from the headers of a request before its body is read."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, cast

from fastapi import FastAPI, HTTPException, Request
from fastapi.security import HTTPBasic
from starlette.routing import Route
from starlette.types import Message, Receive

from ..host.interface import AccessRules, Host

HEADER = "X-Train-Lora"
MOST_BODY_BYTES = 8 << 20
"""The size limit of a request body. Changing the captions of 100,000 images takes less than one megabyte."""

Guard = Callable[[Request], Awaitable[None]]
"""Lets a request pass or raises ``HTTPException``."""


def guard_of(host: Host, app: FastAPI) -> Guard:
    """Return the guard for every route: the webui's login, its rules on remote access, and the origin of the page.

    Gradio's ``/login_check`` is used as the login check; without a login, ``--api-auth`` is required where it is set.
    Raises ``RuntimeError`` if ``app`` has no ``/login_check``, since nothing could be protected then.
    """
    login_check = next((route for route in app.routes if getattr(route, "path", "") == "/login_check"), None)
    if login_check is None:
        raise RuntimeError("This gradio has no /login_check route, so the Train LoRA tab cannot check who is calling.")

    async def guard(request: Request) -> None:
        rules = host.access()
        has_login = getattr(app, "auth", None) is not None
        refused = rules.refused or _foreign(request, rules, has_login or bool(rules.api_passwords))
        if refused:
            raise HTTPException(403, refused)
        if has_login:
            await _check_login(request, cast(Route, login_check))
        elif rules.api_passwords:
            await _check_password(request, rules)
        length = request.headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length[:20]) > MOST_BODY_BYTES:
            raise _too_large()

    return guard


def with_limited_body(request: Request) -> Request:
    """Return ``request`` with its body limited to ``MOST_BODY_BYTES``, even if no length is declared.

    Reading more raises ``HTTPException``.
    """
    receive: Receive = request.receive
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > MOST_BODY_BYTES:
            raise _too_large()
        return message

    return Request(request.scope, counted)


def _too_large() -> HTTPException:
    return HTTPException(413, f"The request is larger than {MOST_BODY_BYTES >> 20} MB. Send less at once.")


def _foreign(request: Request, rules: AccessRules, has_login: bool) -> str:
    """Why a request counts as cross-site; empty if it does not.

    A foreign name in ``Host`` means DNS rebinding: a page has made its own name resolve to this machine. Such a page
    is not logged in, so with a login any name is accepted, e.g. behind a proxy.
    """
    site = request.headers.get("sec-fetch-site", "")
    if site not in ("", "same-origin", "none"):
        return f"This request comes from another page (Sec-Fetch-Site: {site[:20]}), which is refused."
    if request.method not in ("GET", "HEAD") and request.headers.get(HEADER) != "1":
        return f"The header {HEADER}: 1 is missing. It keeps other pages from acting here."
    given = request.headers.getlist("host")
    if has_login or (len(given) == 1 and is_ours(given[0], rules)):
        return ""
    name = given[0][:100] if given else "none"
    return (f"This page was opened as {name!r}, which is not known as a name of this webui. Open it as localhost or by "
            f"its IP address, or start the webui with --cors-allow-origins=https://{name} if the name is yours.")


def is_ours(host: str, rules: AccessRules) -> bool:
    """Whether ``host``, the header with or without a port, names this webui: an IP address, localhost or a known name.

    An IP address is safe: the browser connected to it directly, whatever DNS says.
    """
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?", host)
    if match is None:
        return False
    name = match[1].strip("[]").lower().removesuffix(".")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        known = name in ("localhost", *rules.hosts) or name.endswith((".localhost", *rules.host_endings))
        pattern = rules.trusted_origins
        return known or (bool(pattern) and any(
            re.fullmatch(pattern, f"{scheme}://{host.lower()}") for scheme in ("http", "https")))
    return True


async def _check_login(request: Request, route: Route) -> None:
    """Call gradio's login check as the page would; the request's body is not passed on."""
    status: list[int] = []

    async def nothing() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    scope: dict[str, Any] = {**request.scope, "method": "GET", "path": route.path, "query_string": b"",
                             "path_params": {}, "route": route, "endpoint": route.endpoint}
    await route.app(scope, nothing, keep)  # some versions of gradio raise their 401 from here
    if status != [200]:
        raise HTTPException(status[0] if status else 401, "Log in to the webui first.")


async def _check_password(request: Request, rules: AccessRules) -> None:
    given = await HTTPBasic(auto_error=False)(request)
    expected = rules.api_passwords.get(given.username) if given else None
    if given is None or expected is None or not secrets.compare_digest(given.password.encode(), expected.encode()):
        raise HTTPException(401, "Incorrect user or password.", {"WWW-Authenticate": "Basic"})
