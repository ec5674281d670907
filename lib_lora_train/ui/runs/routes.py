"""Routes about runs: start, watch and control them, and show their output."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from ...config.job import Job
from ...config.load import job_to_yaml
from ...errors import ConfigError, RunError
from ...files.confine import open_inside
from ...runs.control import ACTIONS, STOP
from ...runs.events import read_events
from ...runs.folder import RunFolder, create_run, open_run
from ...runs.job import settings_of, values_of
from ...runs.queue import ask_of_starting, enqueue, is_starting, queued_device, withdraw
from ...runs.state import AT_WORK, DAMAGED
from ...runs.summary import RunSummary
from ..requests import ControlRequest, FileRequest, JobRequest
from ..services import Services
from ..train.job_request import complete_job, device_of
from .strip_routes import new_strip
from .strip_settings import Txt2img
from .strip_store import Strip

WITHDRAW = "withdraw"
_ATTEMPTS = 3
_MOST_PICTURE_BYTES = 64 << 20
_PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}


def register(router: APIRouter, services: Services) -> None:
    """Add ``/runs`` and its subroutes."""

    def runs() -> list[dict[str, Any]]:
        return [_summary(run) for run in services.index.all()]

    def start(request: JobRequest) -> dict[str, Any]:
        run, name = start_run(services, request.job, request.txt2img)
        return {"id": run.id, "name": name}

    def run(run_id: str, since: int = 0) -> dict[str, Any]:
        return _details(services, open_run(services.runs_dir, run_id), since)

    def control(run_id: str, request: ControlRequest) -> dict[str, Any]:
        folder = open_run(services.runs_dir, run_id)
        control_run(services, folder, request.action)
        return {**_summary(services.index.of(folder)), "control": _asked_of(folder)}

    def file(run_id: str, path: str) -> Response:
        return _file_of(open_run(services.runs_dir, run_id), path)

    def try_in_txt2img(run_id: str, request: FileRequest) -> dict[str, Any]:
        return txt2img_with(services, open_run(services.runs_dir, run_id), request.path)

    router.add_api_route("/runs", runs, methods=["GET"])
    router.add_api_route("/runs", start, methods=["POST"])
    router.add_api_route("/runs/{run_id}", run, methods=["GET"])
    router.add_api_route("/runs/{run_id}/control", control, methods=["POST"])
    router.add_api_route("/runs/{run_id}/file", file, methods=["GET"])
    router.add_api_route("/runs/{run_id}/try", try_in_txt2img, methods=["POST"])


def start_run(services: Services, values: dict[str, Any], txt2img: Txt2img | None = None) -> tuple[RunFolder, str]:
    """Queue the job of the form's ``values``; returns the run and the name of its LoRA.

    If the webui generates the samples, it uses the settings of ``txt2img``. Raises ``ConfigError`` with every problem,
    and ``WorkerEnvironmentError`` if the worker could not run.
    """
    job, problems = complete_job(services, values)
    if problems:
        raise ConfigError(problems)
    services.environment.command(["train"])
    run = made_run(services, job, strip_of(services, job, txt2img))
    enqueue(run, device_of(services, job.training.device))
    services.supervisor.wake()
    return run, job.save.output_name


def strip_of(services: Services, job: Job, txt2img: Txt2img | None) -> Strip | None:
    """Return the test strip of a new run of ``job`` with the settings of ``txt2img``; ``None`` if it has none.

    Raises ``RunError`` if it cannot be generated.
    """
    prompts = job.sample.sample_prompts
    return new_strip(services, job, prompts, txt2img) if job.sample.sample_by != "worker" and prompts else None


def made_run(services: Services, job: Job, strip: Strip | None) -> RunFolder:
    """Create the folder of a run of ``job`` with its ``strip``, ready to be queued. Raises ``RunError``."""
    run = create_run(services.runs_dir, job.save.output_name, job_to_yaml(job))
    if strip is not None:
        services.strips.change(run, strip)
    return run


def control_run(services: Services, run: RunFolder, action: str) -> None:
    """Pause, resume or stop ``run``, or only withdraw it from the queue. Raises ``RunError`` if not possible now."""
    if action not in (*ACTIONS, "resume", WITHDRAW):
        raise RunError(f"{action!r} is nothing a run can do. It can pause, resume, stop and {WITHDRAW} from the queue.")
    if _before_its_worker(run, action):
        services.supervisor.wake()
        return
    state = services.index.of(run).state
    if action == WITHDRAW:
        raise RunError(f"The run {run.id} is no longer in the queue: it is {state}. "
                       "Press Stop if you want it to end." if state in AT_WORK else
                       f"The run {run.id} does not wait in the queue: it is {state}.")
    if state not in AT_WORK and not (action == "resume" and is_starting(run)):
        raise RunError(f"The run {run.id} is {state}, so it cannot {action}.")
    if action == "resume":
        services.supervisor.resume(run)
    else:
        run.control.request(action)


def _before_its_worker(run: RunFolder, action: str) -> bool:
    """Whether ``run`` has no worker yet, and ``action`` was carried out or is left to the process that starts it.

    Tried again if the run has been returned to the queue between the two.
    """
    ends = action in (STOP, WITHDRAW)
    for _ in range(_ATTEMPTS):
        if ends and withdraw(run):
            return True
        if action != "resume" and ask_of_starting(run, STOP if ends else action):
            return True
        if not ends or queued_device(run) is None:
            return False
    return False


def txt2img_with(services: Services, run: RunFolder, path: str) -> dict[str, Any]:
    """Return the txt2img values to try the file ``path`` saved by ``run``: prompt, size and CLIP skip as trained.

    Raises ``RunError`` if the run has not saved such a file or the file is gone.
    """
    saved = [event["path"] for event in services.index.of(run).saved]
    if path not in saved:
        raise RunError(f"The run {run.id} has not saved {path}.")
    if not Path(path).is_file():
        raise RunError(f"{path} is no longer there.")
    job = settings_of(run)
    services.host.refresh_loras()
    tag = job.dataset.activation_tag.strip()
    name = Path(path).stem
    clip_skip, before = job.base.clip_skip, services.host.clip_skip()
    if clip_skip != before:
        services.host.use_clip_skip(clip_skip)
    width, height = job.dataset.size
    return {"prompt": f"<lora:{name}:1>" + (f" {tag}" if tag else ""), "name": name, "tag": tag,
            "width": width, "height": height, "clip_skip": clip_skip, "clip_skip_before": before}


def _details(services: Services, run: RunFolder, since: int) -> dict[str, Any]:
    summary = services.index.of(run)
    state = _summary(summary)
    # after the state, so that a page that stops polling at the end of the run has every event
    events, offset = read_events(run.events_file, max(0, since))
    answer = {**state, "events": events, "offset": offset, "control": _asked_of(run)}
    if not since or any(event["event"] == "queued" for event in events):
        answer["job"] = {} if summary.state == DAMAGED else values_of(run)
    missing = [event["path"] for event in summary.saved if not Path(event["path"]).is_file()]
    return {**answer, "log_tail": run.log_tail(), "missing": missing}


def _summary(summary: RunSummary) -> dict[str, Any]:
    return {**dataclasses.asdict(summary), "alive": summary.alive}


def _asked_of(run: RunFolder) -> list[str]:
    """Return the requests that the worker has not carried out yet."""
    return [action for action in ACTIONS if run.control.asked(action)]


def _file_of(run: RunFolder, path: str) -> Response:
    media_type = _PICTURES.get(Path(path).suffix.lower())
    if media_type is None:
        raise RunError(f"{path[:200]!r} is not an image.")
    with open_inside(run.path, path) as file:
        content = file.read(_MOST_PICTURE_BYTES + 1)
    if len(content) > _MOST_PICTURE_BYTES:
        raise RunError(f"{path} is larger than {_MOST_PICTURE_BYTES >> 20} MB, which no sample is.")
    return Response(content, media_type=media_type, headers={"Cache-Control": "private, max-age=3600"})
