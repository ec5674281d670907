"""Routes of "Compare my checkpoints": start, the newest comparison, and its result for the form."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from ....errors import RunError
from ....runs.folder import BASES, open_run
from ...captions.folder_runs import resume_run
from ...requests import JobRequest
from ...services import Services
from .comparison import newest, result_for, start_comparison


def register(router: APIRouter, services: Services) -> None:
    """Add ``/bases/runs`` and its subroutes; the worker is watched and stopped through ``/runs/<id>``."""

    def start() -> dict[str, Any]:
        return {"id": start_comparison(services)}

    def last() -> dict[str, Any]:
        run = newest(services)
        return {"id": None if run is None else run.id}

    def result(run_id: str, request: JobRequest) -> dict[str, Any]:
        run = open_run(services.runs_dir, run_id)
        if run.command != BASES:
            raise RunError(f"The run {run_id} is no comparison of checkpoints.")
        return result_for(services, run, request.job)

    def resume(run_id: str) -> dict[str, Any]:
        return {"id": resume_run(services, run_id, BASES, "comparison").id}

    router.add_api_route("/bases", last, methods=["GET"])
    router.add_api_route("/bases/runs", start, methods=["POST"])
    router.add_api_route("/bases/runs/{run_id}/result", result, methods=["POST"])
    router.add_api_route("/bases/runs/{run_id}/continue", resume, methods=["POST"])
