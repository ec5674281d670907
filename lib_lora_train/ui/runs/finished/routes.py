"""Routes about what happens when the queue is finished, and the report of a run that has ended."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from ....errors import RunError
from ....runs.events import read_events
from ....runs.folder import TRAIN, open_run
from ....runs.job import settings_of
from ....runs.progress.report import report_of
from ...services import Services
from ..open_folder import is_local


class ChoiceRequest(BaseModel):
    """One of the fixed choices by its name. A request can name a command neither here nor elsewhere.

    ``seen`` is the command that the user has confirmed; it is only compared with that of the settings.
    """

    choice: str
    seen: str = ""


def register(router: APIRouter, services: Services) -> None:
    """Add ``/finished``, ``/finished/cancel``, ``/runs/ID/report`` and ``/tensorboard``."""

    def state(request: Request) -> dict[str, Any]:
        return asdict(services.finished.state(local=is_local(request)))

    def choose(wanted: ChoiceRequest, request: Request) -> dict[str, Any]:
        services.finished.choose(wanted.choice, local=is_local(request), seen=wanted.seen)
        return state(request)

    def cancel(request: Request) -> dict[str, Any]:
        services.finished.cancel()
        return state(request)

    def report(run_id: str) -> dict[str, Any]:
        run = open_run(services.runs_dir, run_id)
        if run.command != TRAIN:
            raise RunError(f"The run {run_id} is no training, so there is no report of one.")
        return asdict(report_of(run, read_events(run.events_file)[0], settings_of(run)))

    def tensorboard(request: Request) -> dict[str, Any]:
        if not is_local(request):
            raise RunError("TensorBoard can only be reached on this machine, the one that the webui runs on. Start it "
                           "from a browser there.")
        return asdict(services.tensorboard.start())

    router.add_api_route("/tensorboard", tensorboard, methods=["POST"])
    router.add_api_route("/runs/{run_id}/report", report, methods=["GET"])
    router.add_api_route("/finished", state, methods=["GET"])
    router.add_api_route("/finished", choose, methods=["POST"])
    router.add_api_route("/finished/cancel", cancel, methods=["POST"])
