"""Routes of "What does the base know?": what a check would do, its start and stop, and its result."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from ....errors import RunError
from ....runs.folder import KNOWS, RunFolder, open_run
from ...captions.folder_runs import resume_run
from ...requests import JobRequest
from ...runs.routes import control_run
from ...services import Services
from .check import plan_of_check, start_check
from .results import latest, result_with_age


class CheckRequest(JobRequest):
    """The form, the words to try, and how; ``tagger`` is the name of an installed one, empty for none."""

    candidates: list[str] = Field(default_factory=list)
    traits: list[str] = Field(default_factory=list)
    prompt: str = ""
    images_per_word: int = 4
    tagger: str = ""


def register(router: APIRouter, services: Services) -> None:
    """Add ``/knows``, ``/knows/runs`` and their subroutes; the worker is watched through ``/runs/<id>``."""

    def plan(request: CheckRequest) -> dict[str, Any]:
        return plan_of_check(services, request.job, request.images_per_word)

    def start(request: CheckRequest) -> dict[str, Any]:
        knows = {"candidates": request.candidates, "traits": request.traits, "prompt": request.prompt,
                 "images_per_word": request.images_per_word}
        return {"id": start_check(services, request.job, knows, request.tagger)}

    def newest(request: JobRequest) -> dict[str, Any]:
        run = latest(services, request.job)
        return {"id": None if run is None else run.id}

    def state(run_id: str) -> dict[str, Any]:
        return {"drawing": services.knows.drawing(_check(services, run_id).id)}

    def result(run_id: str) -> dict[str, Any]:
        return result_with_age(services, _check(services, run_id))

    def resume(run_id: str) -> dict[str, Any]:
        return {"id": resume_run(services, run_id, KNOWS, "check").id}

    def stop(run_id: str) -> dict[str, Any]:
        run = _check(services, run_id)
        if not services.knows.stop(run.id):
            control_run(services, run, "stop")
        return {"id": run.id}

    for path, act, method in (("", plan, "POST"), ("/runs", start, "POST"), ("/newest", newest, "POST"),
                              ("/runs/{run_id}", state, "GET"), ("/runs/{run_id}/result", result, "GET"),
                              ("/runs/{run_id}/stop", stop, "POST"), ("/runs/{run_id}/continue", resume, "POST")):
        router.add_api_route(f"/knows{path}", act, methods=[method])


def _check(services: Services, run_id: str) -> RunFolder:
    run = open_run(services.runs_dir, run_id)
    if run.command != KNOWS:
        raise RunError(f"The run {run_id} is no check of what the base knows.")
    return run
