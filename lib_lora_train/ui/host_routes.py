"""Routes about the webui and the worker's environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter

from ..host.interface import ModelFile
from ..runs.folder import TRAIN, WITH_BASE
from .services import Services
from .train.checkpoint_family import facts_of
from .train.form import form_schema
from .train.job_request import listed


def register(router: APIRouter, services: Services) -> None:
    """Add ``/schema``, ``/host``, ``/family``, ``/busy`` and ``/environment/install``."""

    def host() -> dict[str, Any]:
        webui = services.host
        checkpoint = webui.checkpoint()
        prediction = webui.prediction_of(checkpoint.path) if checkpoint else ""
        return {"name": webui.name, "limits": webui.limits(), "checkpoint": _file(checkpoint),
                "webui_predicts": prediction, "vae": _file(webui.vae()),
                "checkpoints": [_file(file) for file in webui.checkpoints()],
                "vaes": [_file(file) for file in webui.vaes()],
                "lora_dir": str(webui.lora_dir), "runs_dir": str(services.runs_dir), "clip_skip": webui.clip_skip(),
                "device": webui.device(), "environment": services.environment.state(), "busy": busy(services)}

    def install() -> dict[str, Any]:
        services.environment.install()
        return services.environment.state()

    def family(path: str, base: str = "") -> dict[str, Any]:
        checkpoint = Path(listed(path, services.host.checkpoints(), "base.checkpoint", "checkpoint"))
        return facts_of(checkpoint, base).as_json()

    router.add_api_route("/family", family, methods=["GET"])
    router.add_api_route("/schema", form_schema, methods=["GET"])
    router.add_api_route("/host", host, methods=["GET"])
    router.add_api_route("/busy", lambda: {"busy": busy(services)}, methods=["GET"])
    router.add_api_route("/environment/install", install, methods=["POST"])


def busy(services: Services) -> dict[str, Any] | None:
    """Return the run that holds the webui's GPU, with a sentence for the user; ``None`` if images can be generated."""
    leased = services.supervisor.leased()
    if not leased:
        return None
    if not all(leased.values()):
        return {"id": None, "text": "The GPU is being freed for training as soon as the current image is done."}
    run = next((run for run in services.index.all() if run.pid is not None and (run.device or "") in leased), None)
    if run is None:
        return {"id": None, "text": "The GPU is lent to training; new images wait until it ends."}
    left = "" if run.seconds_left is None else f", about {_duration(run.seconds_left)} more"
    then = ("It pauses for your images, each time as soon as its step is done." if run.command in WITH_BASE else
            "An image that you request now is generated when it ends or is stopped.")
    whom = f"the training of {run.name}" if run.command == TRAIN else f"the run {run.name} ({run.command})"
    return {"id": run.id, "text": f"The GPU is lent to {whom}{left}. {then}"}


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return "a minute"
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def _file(file: ModelFile | None) -> dict[str, str] | None:
    return None if file is None else {"title": file.title, "path": str(file.path)}
