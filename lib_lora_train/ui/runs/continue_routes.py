"""Routes that resume a run or continue a finished one."""

from __future__ import annotations

import dataclasses
from typing import Any

from fastapi import APIRouter

from ...errors import RunError
from ...runs.continuing import MORE, RESUME, Continuation, ContinueOptions, job_of, keep_changes, plan_continuation
from ...runs.folder import TRAIN, RunFolder, open_run
from ...runs.queue import ask_again
from ..requests import ContinueRequest
from ..services import Services
from ..train.job_request import device_of, taken_names


def register(router: APIRouter, services: Services) -> None:
    """Add ``/runs/ID/continue``, and its dry run ``/runs/ID/continue/check``."""

    def check(run_id: str, request: ContinueRequest) -> dict[str, Any]:
        return _as_json(_planned(services, open_run(services.runs_dir, run_id), request))

    def resume(run_id: str, request: ContinueRequest) -> dict[str, Any]:
        run = open_run(services.runs_dir, run_id)
        return {"id": run.id, **_as_json(continue_run(services, run, request))}

    router.add_api_route("/runs/{run_id}/continue/check", check, methods=["POST"])
    router.add_api_route("/runs/{run_id}/continue", resume, methods=["POST"])


def continue_run(services: Services, run: RunFolder, request: ContinueRequest) -> Continuation:
    """Queue ``run`` again.

    Raises ``RunError`` if it cannot continue, ``WorkerEnvironmentError`` if the worker could not run.
    """
    planned = _planned(services, run, request)
    services.environment.command(["train"])
    keep_changes(run, planned.changes)
    ask_again(run, device_of(services, job_of(run).training.device), steps=planned.from_step,
              total_steps=planned.total_steps, name=planned.name)
    services.supervisor.wake()
    return planned


def _planned(services: Services, run: RunFolder, request: ContinueRequest) -> Continuation:
    if request.how not in (RESUME, MORE) or run.command != TRAIN:
        raise RunError(f"{request.how!r} is not a way to resume the run {run.id}.")
    options = ContinueOptions(request.how, request.epochs, request.rate_factor)
    return plan_continuation(run, services.index.of(run), options, taken_names(services))


def _as_json(planned: Continuation) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(planned).items() if name != "changes"}
