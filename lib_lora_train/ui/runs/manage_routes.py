"""Routes that manage the list of runs: name, star, note, moving to the trash and restoring."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from ...errors import RunError
from ...files.confine import is_named_inside
from ...files.json_file import DamagedFileError
from ...files.walk import files_below
from ...runs.folder import MERGE, RunFolder, open_run
from ...runs.notes import RunNote, read_note, write_note
from ...runs.state import AT_WORK, WAITING
from ...runs.trash import (
    BESIDE,
    CHECKPOINT_YAML,
    TrashEntry,
    delete_for_good,
    move_to_trash,
    restore,
    trash_entries,
    with_sidecars,
)
from ..requests import FileRequest
from ..services import Services
from .open_folder import is_local, show_folder

LORA_ENDING = ".safetensors"


class NoteRequest(BaseModel):
    """The changed fields; ``None`` leaves a field unchanged."""

    name: str | None = None
    starred: bool | None = None
    note: str | None = None


class DeleteRequest(BaseModel):
    """Whether the files that the run saved are deleted too."""

    files: bool


class EntryRequest(BaseModel):
    """An entry of the trash."""

    id: str


class OpenRequest(BaseModel):
    """The folder to open: ``run`` for that of the run, ``files`` for that of its LoRA files."""

    what: str


def register(router: APIRouter, services: Services) -> None:
    """Add ``/runs/ID/note``, ``deletion``, ``delete``, ``keep-only`` and ``open``, and ``/trash``."""

    def note(run_id: str, request: NoteRequest) -> dict[str, Any]:
        return asdict(change_note(open_run(services.runs_dir, run_id), request))

    def deletion(run_id: str) -> dict[str, Any]:
        return what_is_deleted(services, open_run(services.runs_dir, run_id))

    def delete(run_id: str, request: DeleteRequest) -> dict[str, Any]:
        run = open_run(services.runs_dir, run_id)
        return asdict(delete_run(services, run, with_files=request.files))

    def keep_only(run_id: str, request: FileRequest) -> dict[str, Any]:
        return asdict(keep_only_file(services, open_run(services.runs_dir, run_id), request.path))

    def open_it(run_id: str, wanted: OpenRequest, request: Request) -> dict[str, Any]:
        if not is_local(request):
            raise RunError("Folders can only be opened from a browser on the machine that the webui runs on.")
        show_folder(_folder(services, open_run(services.runs_dir, run_id), wanted.what))
        return {}

    def trash() -> dict[str, Any]:
        return {"entries": [asdict(entry) for entry in trash_entries(services.runs_dir)]}

    def put_back(request: EntryRequest) -> dict[str, Any]:
        entry = restore(services.runs_dir, request.id, lambda path: _is_lora_place(services, path) or
                        _is_checkpoint_place(services, path))
        _refresh_lists(services, [Path(file.origin) for file in entry.files])
        return asdict(entry)

    def remove(request: EntryRequest) -> dict[str, Any]:
        delete_for_good(services.runs_dir, request.id)
        return trash()

    router.add_api_route("/runs/{run_id}/note", note, methods=["POST"])
    router.add_api_route("/runs/{run_id}/deletion", deletion, methods=["GET"])
    router.add_api_route("/runs/{run_id}/delete", delete, methods=["POST"])
    router.add_api_route("/runs/{run_id}/keep-only", keep_only, methods=["POST"])
    router.add_api_route("/runs/{run_id}/open", open_it, methods=["POST"])
    router.add_api_route("/trash", trash, methods=["GET"])
    router.add_api_route("/trash/restore", put_back, methods=["POST"])
    router.add_api_route("/trash/delete", remove, methods=["POST"])


def change_note(run: RunFolder, request: NoteRequest) -> RunNote:
    """Write ``request`` to the note of ``run``, replacing a damaged one. Raises ``RunError`` if it is too long."""
    try:
        before = read_note(run)
    except DamagedFileError:  # the page has shown the damage and offered this fix
        before = RunNote()
    note = RunNote(before.name if request.name is None else request.name,
                   before.starred if request.starred is None else request.starred,
                   before.note if request.note is None else request.note)
    write_note(run, note)
    return note


def what_is_deleted(services: Services, run: RunFolder) -> dict[str, Any]:
    """Return what deleting ``run`` would move: the size of its folder, and the LoRA or checkpoint files it saved.

    ``elsewhere`` are files outside the webui's folders, which stay; ``refused`` says why the run cannot be deleted.
    """
    files = [{"path": str(path), "name": path.name, "bytes": sum(_size(part) for part in with_sidecars(run, path))}
             for path in saved_files(services, run)]
    elsewhere = [str(path) for path in _saved(services, run) if not _is_own_place(services, run, path)]
    return {"folder": str(run.path), "bytes": sum(_size(Path(entry.path)) for entry in files_below(run.path)),
            "has_training_state": services.index.of(run).has_training_state, "files": files, "elsewhere": elsewhere,
            "refused": _refusal(services, run)}


def delete_run(services: Services, run: RunFolder, *, with_files: bool) -> TrashEntry:
    """Move ``run`` to the trash, with the files it saved if ``with_files``; returns the entry. Raises ``RunError``."""
    check_idle(services, run)
    files = saved_files(services, run) if with_files else []
    used = services.host.checkpoint()
    if used is not None and used.path in files:
        raise RunError(f"The webui uses the checkpoint {used.path.name} now. Select another one first, or delete only "
                       "the run.")
    entry = move_to_trash(run, services.index.of(run).name, files, whole_run=True)
    _refresh_lists(services)
    return entry


def keep_only_file(services: Services, run: RunFolder, kept: str) -> TrashEntry:
    """Move all LoRA files of ``run`` except ``kept`` to the trash; returns the entry. Raises ``RunError``."""
    check_idle(services, run)
    files = saved_files(services, run)
    if Path(kept) not in files:
        raise RunError(f"The run {run.id} has no LoRA file {kept[:300]}, so no other is deleted.")
    others = [path for path in files if path != Path(kept)]
    if not others:
        raise RunError(f"{Path(kept).name} is the only LoRA file of this run already.")
    entry = move_to_trash(run, services.index.of(run).name, others, whole_run=False)
    services.host.refresh_loras()
    return entry


def saved_files(services: Services, run: RunFolder) -> list[Path]:
    """Return the existing files saved by ``run``: LoRAs in the webui's LoRA folder, or the checkpoint of a merge."""
    return [path for path in _saved(services, run) if _is_own_place(services, run, path)]


def _saved(services: Services, run: RunFolder) -> list[Path]:
    paths = dict.fromkeys(Path(event["path"]) for event in services.index.of(run).saved)
    return [path for path in paths if path.suffix.lower() == LORA_ENDING and path.is_file()]


def _is_own_place(services: Services, run: RunFolder, path: Path) -> bool:
    return (_is_checkpoint_place if run.command == MERGE else _is_lora_place)(services, path)


def _is_lora_place(services: Services, path: Path) -> bool:
    """Whether ``path`` is, by its name, a LoRA file or a sidecar of one in the webui's LoRA folder."""
    return path.name.lower().endswith((LORA_ENDING, *BESIDE)) and is_named_inside(services.host.lora_dir, path)


def _is_checkpoint_place(services: Services, path: Path) -> bool:
    """Whether ``path`` is, by its name, a checkpoint or a sidecar of one in a folder that has checkpoints."""
    folders = {file.path.parent for file in services.host.checkpoints()}
    return path.name.lower().endswith((LORA_ENDING, CHECKPOINT_YAML, *BESIDE)) and any(
        is_named_inside(folder, path) for folder in folders)


def _refresh_lists(services: Services, restored: Collection[Path] = ()) -> None:
    services.host.refresh_loras()
    services.host.refresh_checkpoints([path for path in restored if _is_checkpoint_place(services, path)])


def check_idle(services: Services, run: RunFolder, then: str = "delete") -> None:
    """Raise ``RunError`` if the files of ``run`` are in use. ``then`` is what is to be done, as a verb."""
    refused = _refusal(services, run, then)
    if refused:
        raise RunError(refused)


def _refusal(services: Services, run: RunFolder, then: str = "delete") -> str:
    """Why ``run`` cannot be deleted or changed now; empty if it can."""
    summary = services.index.of(run)
    if summary.state in AT_WORK:
        return f"The run {summary.name} is {summary.state}. Stop it first, then {then}."
    if summary.state == WAITING and summary.device is not None:
        return f"The run {summary.name} is in the queue. Remove it from the queue first, then {then}."
    if any(drawing["run"] == run.id for drawing in services.drawings.queue()):
        return f"The webui is generating images of the run {summary.name}. Cancel that first, then {then}."
    return ""


def _folder(services: Services, run: RunFolder, what: str) -> Path:
    if what == "run":
        return run.path
    files = saved_files(services, run)
    if what != "files" or not files:
        raise RunError(f"The run {run.id} has no folder {what[:80]!r} to open.")
    return files[-1].parent


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
