"""The route that renames a saved LoRA file of a run."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from ...config.check import name_problems
from ...errors import ConfigError, RunError, TrainLoraError
from ...files.json_file import DamagedFileError
from ...files.reading import reason
from ...files.safetensors_header import read_safetensors_header
from ...files.safetensors_metadata import change_metadata
from ...runs.folder import MERGE, TRAIN, RunFolder, open_run
from ...runs.job import settings_of
from ...runs.names import lora_stems, next_free_name, rename_saved, without_epoch
from ...runs.queue import waiting_runs
from ..services import Services
from ..train.job_request import promised_names
from .manage_routes import LORA_ENDING, check_idle, saved_files
from .strip_store import FOLDER

_NAMES_INSIDE = ("ss_output_name", "modelspec.title")


class RenameRequest(BaseModel):
    """A file that the run has saved, and its new name without folder and extension."""

    path: str
    name: str


def register(router: APIRouter, services: Services) -> None:
    """Add ``/runs/ID/rename-file``."""

    def rename(run_id: str, request: RenameRequest) -> dict[str, Any]:
        run = open_run(services.runs_dir, run_id)
        return rename_file(services, run, request.path, request.name.strip().removesuffix(LORA_ENDING))

    router.add_api_route("/runs/{run_id}/rename-file", rename, methods=["POST"])


def rename_file(services: Services, run: RunFolder, path: str, name: str) -> dict[str, Any]:
    """Rename the LoRA file ``path`` of ``run`` to ``name``, with its sidecars, strip images and the name inside it.

    Returns the new ``path`` and ``name``, and in ``note`` why the name inside it stayed, empty if it did not. Raises
    ``ConfigError`` for an unusable name, ``RunError`` if the name is taken or the file is in use, ``WriteError``.
    """
    check_idle(services, run, "rename")
    saved = Path(path)
    if run.command == MERGE or saved not in saved_files(services, run):
        raise RunError(f"The run {run.id} has no LoRA file {path[:300]!r}, so nothing is renamed.")
    problems = [problem.replace("save.output_name", "The new name") for problem in name_problems(name)]
    if problems:
        raise ConfigError(problems)
    _check_free(services, name)
    _check_unused(services, saved)
    images = list((run.path / FOLDER).glob(f"*/{glob.escape(saved.stem)}_[0-9][0-9].png"))
    notes: list[str] = []
    new = rename_saved(run, saved, name, images, lambda file: notes.append(_rename_inside(file, saved.stem, name)))
    services.host.refresh_loras()
    return {"path": str(new), "name": name, "note": notes[0]}


def _check_free(services: Services, name: str) -> None:
    """Raise ``RunError`` if a LoRA in any folder has this ``name``, by which prompts find it, or will have it."""
    taken = {one.lower() for one in lora_stems(services.host.lora_dir)}
    promised = {one.lower() for one in promised_names(services)}
    if name.lower() in taken or without_epoch(name.lower()) in promised:
        free = next_free_name(name, taken | promised)
        raise RunError(f"There is a LoRA named {name} already, or a queued run will save one, and nothing is "
                       f"overwritten. Choose another name, such as {free}.")


def _check_unused(services: Services, saved: Path) -> None:
    """Raise ``RunError`` if a queued run will continue from ``saved``."""
    for run in waiting_runs(services.runs_dir):
        try:
            used = run.command == TRAIN and settings_of(run).network.network_weights == str(saved)
        except ConfigError:  # the list of runs reports it
            continue
        if used:
            raise RunError(f"The queued run {services.index.of(run).name} continues from {saved.name}. Rename it after "
                           "that run, or remove the run from the queue.")


def _rename_inside(file: Path, before: str, name: str) -> str:
    """Replace the name in the metadata where it is the old one; return a sentence on why that failed, else empty."""
    try:
        metadata = read_safetensors_header(file).metadata
        changes = {key: name for key in _NAMES_INSIDE if metadata.get(key) == before}
        if changes:
            change_metadata(file, changes)
    except (TrainLoraError, DamagedFileError, OSError) as problem:
        return f"The name inside the file is still {before}: {reason(problem)}."
    return ""
