"""Routes of the queue: order, holds, devices, and the settings of queued runs."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from ....errors import RunError
from ....runs.folder import TRAIN, RunFolder, open_run
from ....runs.job import give_device
from ....runs.queue import change_queued, move_queued
from ....runs.queue_hold import hold_after_failures, hold_queue, queue_hold, release_queue
from ...requests import JobRequest
from ...services import Services
from .edit import change_settings

ANY_GPU = "any"


class HoldRequest(BaseModel):
    """Whether to put it on hold, or to end that."""

    on_hold: bool


class AfterFailureRequest(BaseModel):
    """Whether a training that fails puts the queue on hold."""

    hold: bool


class MoveRequest(BaseModel):
    """The id of the run to move in front of, empty for the end of the queue."""

    before: str = ""


class DeviceRequest(BaseModel):
    """A device such as ``cuda:1``, or ``any`` for any GPU that is free."""

    device: str


def register(router: APIRouter, services: Services) -> None:
    """Add ``/queue``, ``/queue/hold``, ``/queue/after-failure``, and ``/runs/ID/queue/`` with ``move``, ``hold``,
    ``device`` and ``settings``.
    """

    def state() -> dict[str, Any]:
        return queue_state(services)

    def hold(request: HoldRequest) -> dict[str, Any]:
        (hold_queue if request.on_hold else release_queue)(services.runs_dir)
        services.supervisor.wake()
        return state()

    def after_failure(request: AfterFailureRequest) -> dict[str, Any]:
        hold_after_failures(services.runs_dir, wanted=request.hold)
        return state()

    def move(run_id: str, request: MoveRequest) -> dict[str, Any]:
        move_queued(open_run(services.runs_dir, run_id), request.before)
        return state()

    def hold_run(run_id: str, request: HoldRequest) -> dict[str, Any]:
        change_queued(open_run(services.runs_dir, run_id), lambda queued: replace(queued, on_hold=request.on_hold))
        services.supervisor.wake()
        return state()

    def device(run_id: str, request: DeviceRequest) -> dict[str, Any]:
        choose_device(services, open_run(services.runs_dir, run_id), request.device)
        services.supervisor.wake()
        return state()

    def settings(run_id: str, request: JobRequest) -> dict[str, Any]:
        run = open_run(services.runs_dir, run_id)
        name = change_settings(services, run, request.job, request.txt2img)
        services.supervisor.wake()
        return {"id": run.id, "name": name}

    router.add_api_route("/queue", state, methods=["GET"])
    router.add_api_route("/queue/hold", hold, methods=["POST"])
    router.add_api_route("/queue/after-failure", after_failure, methods=["POST"])
    router.add_api_route("/runs/{run_id}/queue/move", move, methods=["POST"])
    router.add_api_route("/runs/{run_id}/queue/hold", hold_run, methods=["POST"])
    router.add_api_route("/runs/{run_id}/queue/device", device, methods=["POST"])
    router.add_api_route("/runs/{run_id}/queue/settings", settings, methods=["POST"])


def queue_state(services: Services) -> dict[str, Any]:
    """Return whether the queue is on hold, and the GPUs between which a queued run can choose; the webui's is last."""
    return {**asdict(queue_hold(services.runs_dir)), "gpus": services.host.gpus()}


def choose_device(services: Services, run: RunFolder, device: str) -> None:
    """Queue the waiting training ``run`` for ``device``, one of the GPUs or ``any``.

    Raises ``RunError`` if there is no such device or the run is not in the queue any more.
    """
    gpus = services.host.gpus()
    if run.command != TRAIN:
        raise RunError(f"{run.id} is no training run, so its device cannot be changed.")
    if not gpus or device not in (ANY_GPU, *gpus):
        known = f"This machine has {', '.join(sorted(gpus))}." if gpus else "The webui sees no CUDA GPU."
        raise RunError(f"{device[:80]!r} is not a GPU that a queued run can use. {known}")
    give_device(run, gpus[0] if device == ANY_GPU else device, any_gpu=device == ANY_GPU)
