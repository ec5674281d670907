"""Testing any LoRA of the webui's folder: a folder like that of a run, for its plots, prompts and baked copies."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from ...config.text_yaml import write_yaml
from ...errors import CheckpointError
from ...runs.events import EventWriter
from ...runs.folder import TEST, TRAIN, RunFolder, create_run, open_run
from ...runs.job import settings_of
from ..lora_files import activation_tag, lora_file, lora_info
from ..services import Services

_MAKING = threading.Lock()


class LoraRequest(BaseModel):
    """A LoRA by its path in the webui's folder, without suffix."""

    name: str


def register(router: APIRouter, services: Services) -> None:
    """Add ``/lora/test``."""

    def opened(request: LoraRequest) -> dict[str, Any]:
        return {"id": subject_of(services, request.name).id}

    router.add_api_route("/lora/test", opened, methods=["POST"])


def subject_of(services: Services, name: str) -> RunFolder:
    """Return the run that saved the LoRA ``name``, otherwise its test folder, created if missing.

    Raises ``CheckpointError`` if there is no such file or it is not a LoRA, ``RunError`` if the folder cannot be
    created.
    """
    path = lora_file(services.host.lora_dir, name)
    with _MAKING:
        known = next((run for run in services.index.all() if any(
            Path(event["path"]) == path for event in run.saved)), None)
        if known is not None:
            return open_run(services.runs_dir, known.id)
        facts = lora_info(path, services.host.lora_dir)
        job = {"dataset": {"activation_tag": facts["activation_tag"],
                           "resolution": "1024" if facts["family"] == "SDXL" else "512"},
               "save": {"output_name": path.stem}}
        run = create_run(services.runs_dir, f"test-{path.stem}", write_yaml(job), TEST)
        with EventWriter(run.events_file) as events:
            events.write("saved", {"path": str(path), "name": path.stem, "step": facts["steps"] or 0,
                                   "epoch": facts["epochs"] or 0, "final": True})
            events.write("finished", {"steps": 0, "seconds": 0.0})
        return run


def trigger_of(services: Services, run: RunFolder) -> str:
    """Return the trigger words of the LoRA that ``run`` made or its folder was created for; empty if unknown."""
    if run.command != TRAIN:
        for event in services.index.of(run).saved:
            with suppress(CheckpointError):  # gone or damaged; reported when generating
                return activation_tag(Path(event["path"]))
    return settings_of(run).dataset.activation_tag.strip()
