"""What a tab is served by, made from what the tab before it was served by: gradio's application and our routes.

To make both anew takes 70 ms, most of it FastAPI's reading of the signatures of 260 functions, and a thousand tests
have a tab of their own.
"""

from __future__ import annotations

import copy
import functools
import unittest.mock
from collections.abc import Callable
from typing import Any

import gradio
from fastapi import FastAPI
from starlette.routing import request_response

from lib_lora_train.ui.answers import SentenceRoute

_read: dict[tuple[Any, ...], dict[str, Any]] = {}
"""What FastAPI has read of a route, by its path, its methods and the code of its function."""


def application(auth: tuple[str, str] | None = None) -> FastAPI:
    """gradio's application, with routes of its own to add to."""
    if auth is not None:
        return _application(auth)
    app = copy.copy(_shared())
    app.router = copy.copy(app.router)
    app.router.routes = list(app.router.routes)
    return app


def _application(auth: tuple[str, str] | None) -> FastAPI:
    with gradio.Blocks(analytics_enabled=False) as page:
        gradio.HTML("")
        page.auth = [auth] if auth else None  # read as the page is left
        page.auth_message = None
    return page.app


@functools.cache
def _shared() -> FastAPI:
    return _application(None)


def routes_read_once() -> Any:
    """While it is open, a route that was built before gets its new function without reading that again."""
    return unittest.mock.patch.object(SentenceRoute, "__init__", _built)


def _built(route: SentenceRoute, path: str, endpoint: Callable[..., Any], *,
           read: Callable[..., None] = SentenceRoute.__init__, **options: Any) -> None:
    code = getattr(endpoint, "__code__", None)
    known = _read.get(key := (path, *sorted(options["methods"]), code))
    if known is None:
        read(route, path, endpoint, **options)
        if code is not None:
            _read[key] = {**vars(route), "dependant": _calling(route, None), "endpoint": None, "app": None}
        return
    vars(route).update(known, endpoint=endpoint, dependency_overrides_provider=options["dependency_overrides_provider"])
    route.dependant = _calling(route, endpoint)
    route.app = request_response(route.get_route_handler())


def _calling(route: SentenceRoute, endpoint: Callable[..., Any] | None) -> Any:
    dependant = copy.copy(route.dependant)
    dependant.call, dependant.cache_key = endpoint, (endpoint, ())
    return dependant
