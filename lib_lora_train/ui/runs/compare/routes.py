"""Routes that compare runs, queue groups of runs that differ in one setting, and generate grids of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from ....config.job import Job
from ....errors import ConfigError, RunError
from ....runs.compare.differences import FEWEST, MOST, differences
from ....runs.compare.values import varied_field
from ....runs.continuing import job_of
from ....runs.folder import TRAIN, RunFolder, open_run
from ....runs.job import JobCheck, settings_of
from ...services import Services
from ...train.checkpoint_family import advice_of
from ...train.job_request import complete_job
from ..prompts import prompts_of
from .grid import GridRequest
from .suggestions import suggestions
from .variants import VariantsRequest, plan_variants, queue_variants


class RunsRequest(BaseModel):
    """The runs to compare."""

    runs: list[str]


class SuggestionsRequest(BaseModel):
    """A setting of the job of ``run``, or of the form's ``job`` if that is empty."""

    run: str = ""
    job: dict[str, Any] = Field(default_factory=dict)
    key: str


def register(router: APIRouter, services: Services) -> None:
    """Add ``/compare`` and its subroutes."""
    desk = services.grids

    def compare(request: RunsRequest) -> dict[str, Any]:
        return comparison(services, _opened(services, request.runs))

    def grids(request: RunsRequest) -> dict[str, Any]:
        runs = _opened(services, request.runs)
        return {"grids": desk.all_of(runs), "drawing": desk.now()}

    def draw(request: GridRequest) -> dict[str, Any]:
        runs = _opened(services, request.runs)
        desk.start(request)
        return {"grids": desk.all_of(runs), "drawing": desk.now()}

    def stop() -> dict[str, Any]:
        desk.stop()
        return {}

    def suggest(request: SuggestionsRequest) -> dict[str, Any]:
        setting = varied_field(request.key)
        job = (job_of(open_run(services.runs_dir, request.run)) if request.run
               else complete_job(services, request.job)[0])
        found = suggestions(services.host, setting, job, advice_of(job))
        return {"suggestions": [asdict(one) for one in found]}

    def plan(request: VariantsRequest) -> dict[str, Any]:
        return asdict(plan_variants(services, request))

    def queue(request: VariantsRequest) -> dict[str, Any]:
        group, runs = queue_variants(services, request)
        return {"group": group, "runs": [run.id for run in runs]}

    router.add_api_route("/compare", compare, methods=["POST"])
    router.add_api_route("/compare/grids", grids, methods=["POST"])
    router.add_api_route("/compare/draw", draw, methods=["POST"])
    router.add_api_route("/compare/stop", stop, methods=["POST"])
    router.add_api_route("/compare/suggestions", suggest, methods=["POST"])
    router.add_api_route("/compare/plan", plan, methods=["POST"])
    router.add_api_route("/compare/queue", queue, methods=["POST"])


def comparison(services: Services, runs: Sequence[RunFolder]) -> dict[str, Any]:
    """Return the settings in which ``runs`` differ, why settings of a run cannot be read, and prompts for a grid."""
    jobs: list[Job | None] = []
    problems: list[str] = []
    for run in runs:
        readable = not JobCheck(run).damage()  # otherwise its settings would be the defaults
        problem = services.index.of(run).damage
        try:
            jobs.append(settings_of(run) if readable else None)
        except ConfigError as unread:  # its changes
            jobs.append(None)
            problem = problem or str(unread)
        problems.append(problem)
    prompts = next((found for run, job in zip(runs, jobs, strict=True) if job is not None and
                    (found := prompts_of(run))), [])
    return {"differences": [asdict(one) for one in differences(jobs)], "problems": problems, "prompts": prompts,
            "possible": services.host.plot_drawer() is not None}


def _opened(services: Services, ids: Sequence[str]) -> list[RunFolder]:
    """Return the runs to compare. Raises ``RunError`` if they are too few, too many, unknown or no training runs."""
    unique = list(dict.fromkeys(ids))
    if not FEWEST <= len(unique) <= MOST:
        raise RunError(f"These are {len(unique)} runs. Tick {FEWEST} to {MOST} to compare them.")
    runs = [open_run(services.runs_dir, run_id) for run_id in unique]
    other = next((run for run in runs if run.command != TRAIN), None)
    if other is not None:
        raise RunError(f"{other.id} is no training run, so it cannot be compared.")
    return runs
