"""Routes for import, export and the user's presets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from ...advice.size import read_shapes
from ...config.change import changed
from ...config.exporting.formats import export_text
from ...config.exporting.sd_scripts import family_of_shapes
from ...config.importing.read import read_metadata, read_settings, read_together
from ...errors import ConfigError
from ...networks.lora_facts import read_facts
from ...pictures.folders import folders_to_export
from ..lora_files import lora_file
from ..services import Services
from .import_places import WebuiPlaces
from .job_request import complete_job
from .preset_store import PresetStore

_MOST_METADATA = 5_000_000
_MOST_FILES = 20


class ImportRequest(BaseModel):
    """The input of an import, one of four.

    The text of a script or file, several texts by file name that belong together, the metadata of a LoRA file, or the
    name of one of the webui's LoRAs.
    """

    text: str = ""
    files: dict[str, str] | None = None
    metadata: dict[str, str] | None = None
    lora: str = ""


class ExportRequest(BaseModel):
    """The form, and the format: sd-scripts, powershell, toml or yaml."""

    job: dict[str, Any]
    wanted: str


class PresetRequest(BaseModel):
    """A preset's name, and the form's settings to save under it."""

    name: str
    values: dict[str, Any] = {}
    replace: bool = False


class RenameRequest(BaseModel):
    """A preset's name and its new name."""

    name: str
    new_name: str


def register(router: APIRouter, services: Services) -> None:
    """Add ``/import``, ``/export`` and ``/own-presets``."""
    store = PresetStore(services.runs_dir.parent / "presets")

    def own() -> dict[str, Any]:
        return {"presets": store.all()}

    def save(request: PresetRequest) -> dict[str, Any]:
        note = store.save(request.name, request.values, replace=request.replace)
        return {**own(), "note": note}

    def rename(request: RenameRequest) -> dict[str, Any]:
        store.rename(request.name, request.new_name)
        return own()

    def remove(request: PresetRequest) -> dict[str, Any]:
        store.remove(request.name)
        return own()

    def as_file(request: PresetRequest) -> dict[str, Any]:
        return {"text": store.text(request.name), "file_name": f"{request.name.strip()}.yaml", "notes": [],
                "files": {}}

    def import_(request: ImportRequest) -> dict[str, Any]:
        return import_settings(services, request)

    def export(request: ExportRequest) -> dict[str, Any]:
        return export_job(services, request)

    router.add_api_route("/import", import_, methods=["POST"])
    router.add_api_route("/export", export, methods=["POST"])
    router.add_api_route("/own-presets", own, methods=["GET"])
    router.add_api_route("/own-presets", save, methods=["POST"])
    router.add_api_route("/own-presets/rename", rename, methods=["POST"])
    router.add_api_route("/own-presets/remove", remove, methods=["POST"])
    router.add_api_route("/own-presets/file", as_file, methods=["POST"])


def import_settings(services: Services, request: ImportRequest) -> dict[str, Any]:
    """Return the imported settings and the outcome for every option. Raises ``ConfigError`` if unreadable."""
    places = WebuiPlaces(services.host)
    if request.lora:
        path = lora_file(services.host.lora_dir, request.lora)
        facts = read_facts(path)
        return read_metadata(facts.metadata, facts.settings, places, path.name).as_json()
    if request.metadata is not None:
        if sum(map(len, request.metadata.values())) > _MOST_METADATA:
            raise ConfigError("The metadata of the LoRA file is too long to be read.")
        return read_metadata(request.metadata, {}, places, "The LoRA file").as_json()
    if request.files is not None:
        if len(request.files) > _MOST_FILES:
            raise ConfigError(f"These are {len(request.files)} files. Give up to {_MOST_FILES} that belong together.")
        return read_together(request.files, places).as_json()
    return read_settings(request.text, places).as_json()


def export_job(services: Services, request: ExportRequest) -> dict[str, Any]:
    """Return the form's job as text in another format. Raises ``ConfigError`` if the form is invalid."""
    job, _ = complete_job(services, request.job)
    save = request.job.get("save")
    name = str(save.get("output_name") or "") if isinstance(save, dict) else ""
    job = changed(job, {"save.output_name": name.strip() or job.save.output_name})
    try:
        shapes = read_shapes(Path(job.base.checkpoint)) if job.base.checkpoint else None
        found = export_text(job, request.wanted, family_of_shapes(shapes or {}), folders_to_export(job.dataset))
    except ValueError as problem:
        raise ConfigError(f"The settings cannot be exported: {problem}") from problem
    return {"text": found.text, "file_name": found.file_name, "notes": list(found.notes), "files": dict(found.files)}
