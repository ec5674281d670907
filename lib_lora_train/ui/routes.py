"""All routes of the tab, under ``/train-lora``."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from . import (
    captions_routes,
    routes_advice,
    routes_augment,
    routes_continue,
    routes_host,
    routes_lora,
    routes_regularization,
    routes_runs,
    routes_strip,
    routes_testing,
    routes_train,
    tagging_routes,
)
from .access import guards
from .answers import EscapedJson, SentenceRoute
from .services import Services

PREFIX = "/train-lora"
_MODULES = (routes_host, routes_train, routes_advice, routes_augment, routes_lora, routes_runs, routes_continue,
            routes_strip, routes_regularization, routes_testing, tagging_routes, captions_routes)


def register_routes(app: FastAPI, services: Services) -> None:
    """Add every route to ``app``, each behind the guards. Raises ``RuntimeError`` if they cannot be guarded."""
    router = APIRouter(route_class=SentenceRoute, default_response_class=EscapedJson,
                       dependencies=guards(services.host, app), tags=["Train LoRA"])
    for module in _MODULES:
        module.register(router, services)
    app.include_router(router, prefix=PREFIX)
