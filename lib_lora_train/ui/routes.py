"""All routes of the tab, under ``/train-lora``."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from . import drawing_routes, page_modules, places_routes, prediction
from . import host_routes as routes_host
from .answers import EscapedJson, guarded_route
from .callers import guard_of
from .captions import mask_run_routes, tagging_routes
from .captions import routes as captions_routes
from .runs import continue_routes as routes_continue
from .runs import epoch_routes as routes_epoch
from .runs import manage_routes as routes_manage
from .runs import rename_routes as routes_rename
from .runs import routes as routes_runs
from .runs import space_routes as routes_space
from .runs import strip_routes as routes_strip
from .runs.compare import routes as routes_compare
from .runs.diagnosis import routes as routes_diagnosis
from .runs.finished import routes as routes_finished
from .runs.queue import routes as routes_queue
from .services import Services
from .testing import other_loras
from .testing import prompt_set_routes as routes_prompts
from .testing import routes as routes_testing
from .tools import routes as routes_tools
from .train import advice_routes as routes_advice
from .train import augment_routes as routes_augment
from .train import import_routes as routes_import
from .train import lora_routes as routes_lora
from .train import regularization_routes as routes_regularization
from .train import routes as routes_train
from .train import trigger_routes as routes_trigger
from .train.bases import routes as routes_bases
from .train.goal import routes as routes_goal
from .train.knows import routes as routes_knows

PREFIX = "/train-lora"
_MODULES = (page_modules, routes_host, places_routes, prediction, routes_train, routes_trigger, routes_knows,
            routes_advice, routes_augment, routes_import, routes_lora, routes_runs, routes_manage, routes_continue,
            routes_strip, routes_diagnosis, routes_epoch, routes_compare, routes_regularization, routes_testing,
            other_loras, routes_prompts, routes_tools, tagging_routes, mask_run_routes, captions_routes, drawing_routes,
            routes_finished, routes_goal, routes_queue, routes_bases, routes_space, routes_rename)


def register_routes(app: FastAPI, services: Services) -> None:
    """Add every route to ``app``, each behind the guard. Raises ``RuntimeError`` if they cannot be guarded."""
    router = APIRouter(prefix=PREFIX, route_class=guarded_route(guard_of(services.host, app)),
                       default_response_class=EscapedJson, tags=["Train LoRA"], dependency_overrides_provider=app)
    for module in _MODULES:
        module.register(router, services)
    app.router.routes.extend(router.routes)  # include_router would build each route again


def register_problem(app: FastAPI, problem: Exception) -> None:
    """Answer every request of the tab with ``problem``, the reason why the routes could not be added."""
    text = (f"Train LoRA could not be started in this webui ({type(problem).__name__}: {problem}). "
            "The webui's console says more.")
    app.add_api_route(f"{PREFIX}/{{path:path}}", lambda path: EscapedJson({"error": text, "problems": [text]}, 400),
                      methods=["GET", "POST"])
