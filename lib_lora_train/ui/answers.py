"""Responses of the routes: JSON that can carry any file name, and errors as sentences."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Coroutine
from inspect import iscoroutinefunction
from typing import Any

from fastapi import Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from ..errors import ConfigError, TrainLoraError
from ..files.writing import refused
from .callers import Guard, with_limited_body


class EscapedJson(JSONResponse):
    """JSON in ASCII: file names that are not valid UTF-8 survive the round trip, which other encoders refuse."""

    def render(self, content: Any) -> bytes:
        """Return ``content`` as JSON."""
        return json.dumps(content, allow_nan=False, separators=(",", ":"), default=jsonable_encoder).encode("ascii")


def guarded_route(guard: Guard) -> type[APIRoute]:
    """Return a route class that calls ``guard`` before it reads the request's body."""
    return type("GuardedRoute", (SentenceRoute,), {"guard": staticmethod(guard)})


class SentenceRoute(APIRoute):
    """A route whose errors are JSON: ``{"error", "problems"}`` for ours, ``{"error", "detail"}`` for bugs."""

    guard: Guard

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **{**options, "response_model": None})  # answers are plain values: no checks

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the route's handler with errors turned into responses."""
        if not iscoroutinefunction(self.endpoint):
            self.dependant.call = _encoded(self.endpoint)
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                await self.guard(request)
                return await handle(with_limited_body(request))
            except TrainLoraError as error:
                problems = error.problems if isinstance(error, ConfigError) else [str(error)]
                return EscapedJson({"error": str(error), "problems": problems}, 400)
            except UnicodeEncodeError as error:
                text = f"{error.object[:200]!r} has characters that are not valid text. Type it again or rename it."
                return EscapedJson({"error": text, "problems": [text]}, 400)
            except RequestValidationError as error:
                wrong = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
                return EscapedJson({"error": f"The request is not understood: {'; '.join(wrong)}", "problems": wrong},
                                    400)
            except HTTPException as error:
                return EscapedJson({"error": str(error.detail), "problems": [str(error.detail)]}, error.status_code,
                                    error.headers)
            except OSError as error:
                sentence = refused(error, "A file of the extension")
                if sentence is None:
                    return _bug(request, error)
                logging.getLogger(__name__).warning("%s %s failed", request.method, request.url.path, exc_info=True)
                return EscapedJson({"error": sentence, "problems": [sentence]}, 400)
            except Exception as error:  # noqa: BLE001 - a bug of ours: shown on the page and logged
                return _bug(request, error)

        return answer


def _encoded(endpoint: Callable[..., Any]) -> Callable[..., Response]:
    """``endpoint`` with its answer encoded at once: FastAPI takes five times as long, on the thread of all requests."""
    def answer(**values: Any) -> Response:
        content = endpoint(**values)
        return content if isinstance(content, Response) else EscapedJson(content)

    return answer


def _bug(request: Request, error: Exception) -> EscapedJson:
    logging.getLogger(__name__).error("%s %s failed", request.method, request.url.path, exc_info=True)
    text = f"Something went wrong here that should not: {type(error).__name__}: {error}"
    return EscapedJson({"error": text, "problems": [text], "detail": traceback.format_exc()}, 500)
