"""Routes of the Tools sub-tab; tool runs are watched and stopped through ``/runs/<id>``."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from ...config.groups.tools import ExtractJob, InspectJob, MergeJob, MixJob
from ...config.tool_jobs import TOOL_JOBS, ToolJob, tool_job_yaml
from ...errors import CheckpointError, RunError
from ...files.reading import read_file, reason
from ...runs.folder import RunFolder, create_run, open_run
from ...runs.queue import enqueue
from ..lora_files import activation_tag, lora_file
from ..services import Services
from ..train.form import schema_of
from ..train.job_request import device_of
from .card import VERSIONS, card_of, change_card, keep_preview, preview_of
from .job_request import complete_tool_job
from .metadata import change_file, metadata_of
from .pictures import PicturesRequest, draw_pictures, pictures_of
from .publish import routes as routes_publish
from .results import result_of

_MOST_PREVIEW_BYTES = 64 << 20
_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif"}


class ToolRequest(BaseModel):
    """A tool and the settings of its form; missing settings take their defaults."""

    command: str
    job: dict[str, Any]


class LoraRequest(BaseModel):
    """A LoRA, by its path in the webui's folder."""

    name: str


class CardRequest(LoraRequest):
    """Changes to a LoRA's card in the webui."""

    changes: dict[str, Any] = Field(default_factory=dict)


class MetadataRequest(LoraRequest):
    """Changes to the metadata of a LoRA file; ``None`` or an empty text removes an entry."""

    changes: dict[str, str | None] = Field(default_factory=dict)


class PreviewRequest(LoraRequest):
    """An image for a LoRA's card: a file as base64, with or without the prefix ``data:…,``."""

    picture: str


def register(router: APIRouter, services: Services) -> None:
    """Add ``/tools`` and its subroutes."""

    def tools() -> dict[str, Any]:
        return {**schema_of(TOOL_JOBS), "versions": VERSIONS}

    def start(request: ToolRequest) -> dict[str, Any]:
        return {"id": start_tool(services, request.command, request.job).id}

    def result(run_id: str) -> dict[str, Any]:
        return result_of(open_run(services.runs_dir, run_id))

    def pictures(run_id: str) -> dict[str, Any]:
        return pictures_of(services, open_run(services.runs_dir, run_id))

    def draw(run_id: str, request: PicturesRequest) -> dict[str, Any]:
        draw_pictures(services, open_run(services.runs_dir, run_id), request)
        return pictures(run_id)

    router.add_api_route("/tools", tools, methods=["GET"])
    router.add_api_route("/tools", start, methods=["POST"])
    router.add_api_route("/tools/runs/{run_id}", result, methods=["GET"])
    router.add_api_route("/tools/runs/{run_id}/pictures", pictures, methods=["GET"])
    router.add_api_route("/tools/runs/{run_id}/pictures", draw, methods=["POST"])
    _register_file(router, services)


def _register_file(router: APIRouter, services: Services) -> None:
    """Add the routes about one LoRA file: its card, metadata and preview, and trying it in txt2img."""
    writing = threading.Lock()  # only one request at a time reads, changes and writes a card

    def lora(name: str) -> Path:
        return lora_file(services.host.lora_dir, name, "lora")

    def card(name: str) -> dict[str, Any]:
        return card_of(lora(name))

    def change(request: CardRequest) -> dict[str, Any]:
        with writing:
            change_card(lora(request.name), request.changes)
        return card_of(lora(request.name))

    def metadata(name: str) -> dict[str, Any]:
        return metadata_of(lora(name))

    def new_metadata(request: MetadataRequest) -> dict[str, Any]:
        with writing:
            change_file(lora(request.name), request.changes)
        services.host.refresh_loras(changed=lora(request.name))
        return metadata_of(lora(request.name))

    def preview(name: str) -> Response:
        return _picture(preview_of(lora(name)))

    def new_preview(request: PreviewRequest) -> dict[str, Any]:
        with writing:
            kept = keep_preview(lora(request.name), request.picture)
        return {"kept": kept}

    def try_it(request: LoraRequest) -> dict[str, Any]:
        return txt2img_with(services, lora(request.name))

    router.add_api_route("/tools/card", card, methods=["GET"])
    router.add_api_route("/tools/card", change, methods=["POST"])
    router.add_api_route("/tools/metadata", metadata, methods=["GET"])
    router.add_api_route("/tools/metadata", new_metadata, methods=["POST"])
    router.add_api_route("/tools/preview", preview, methods=["GET"])
    router.add_api_route("/tools/preview", new_preview, methods=["POST"])
    router.add_api_route("/tools/try", try_it, methods=["POST"])
    routes_publish.register(router, services, writing)


def start_tool(services: Services, command: str, values: dict[str, Any]) -> RunFolder:
    """Queue the tool ``command`` with the form's ``values``.

    Raises ``ConfigError`` with every problem, and ``WorkerEnvironmentError`` if the worker could not run.
    """
    job = complete_tool_job(services, command, values)
    services.environment.command([command])
    run = create_run(services.runs_dir, f"{command}-{_name_of(job)}", tool_job_yaml(job), command)
    wanted = getattr(job, "device", "cpu")
    on_cpu = wanted == "cpu" or (wanted == "auto" and services.host.device() == "cpu")
    enqueue(run, "cpu" if on_cpu else device_of(services, wanted))
    services.supervisor.wake()
    return run


def _name_of(job: ToolJob) -> str:
    """Return the name of the output file or, without one, of the inspected file."""
    if isinstance(job, InspectJob) or not job.output_name:
        if isinstance(job, (MergeJob, MixJob)):
            return Path(job.loras[0]).stem
        return Path(job.tuned if isinstance(job, ExtractJob) else job.lora).stem
    return job.output_name


def txt2img_with(services: Services, path: Path) -> dict[str, Any]:
    """Return the txt2img values to try the LoRA ``path``; size and CLIP skip stay unchanged."""
    services.host.refresh_loras()
    card = card_of(path)["values"]
    try:
        tag = card["activation_text"] or activation_tag(path)
    except CheckpointError:  # a legacy file
        tag = ""
    weight = card["preferred_weight"] if card["preferred_weight"] not in ("", "0") else "1"
    clip_skip = services.host.clip_skip()
    return {"prompt": f"<lora:{path.stem}:{weight}>" + (f" {tag}" if tag else ""), "name": path.stem, "tag": tag,
            "width": 0, "height": 0, "clip_skip": clip_skip, "clip_skip_before": clip_skip}


def _picture(path: Path | None) -> Response:
    if path is None:
        raise RunError("This LoRA has no preview.")
    try:
        content = read_file(path, _MOST_PREVIEW_BYTES)
    except (OSError, ValueError) as problem:
        raise RunError(f"{path.name} cannot be read: {reason(problem)}.") from problem
    return Response(content, media_type=_TYPES[path.suffix.lower()], headers={"Cache-Control": "private, no-cache"})
