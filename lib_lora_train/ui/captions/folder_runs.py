"""What the panels of tagging and of masks have in common: runs over a folder's images, with a model of the user's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ...config.load import job_to_yaml, read_settings
from ...config.mask_job import MaskJob
from ...config.tag_job import TagJob
from ...errors import DatasetError, RunError, TaggerError, TrainLoraError
from ...files.confine import local_path
from ...runs.folder import RunFolder, create_run, open_run
from ...runs.queue import claimed_device, enqueue
from ..access import dataset_folder
from ..services import Services

AnyJob = TypeVar("AnyJob", TagJob, MaskJob)


@dataclass(frozen=True)
class ModelChoice:
    """A model that the user chose in ``setting``, one of ``kind`` (in the plural) from ``folder`` or a path.

    ``known``: it is one of the list. ``found`` returns its files or ``None``; ``missing`` is the sentence in that case.
    """

    setting: str
    kind: str
    folder: Path
    model: str
    known: bool
    download: bool
    found: Callable[[], object | None]
    missing: Callable[[], str]

    def problems(self, services: Services) -> list[str]:
        """Why it may not be used, or that it is neither here nor downloadable; empty if it can be used."""
        name = f"{self.setting} is {self.model[:200]!r}"
        if not self.known and (Path(self.model).name != self.model or "\\" in self.model or self.model == ".."
                               or self.model.endswith(".onnx")):
            try:
                local_path(self.model)
            except DatasetError as problem:
                return [f"{self.setting}: {problem}"]
            if services.host.access().folders is not None:
                return [f"{name}. The webui was started with --hide-ui-dir-config, so only {self.kind} in "
                        f"{self.folder} can be used. Put it there."]
        try:
            found = self.found()
        except TaggerError as problem:
            return [str(problem)]
        except OSError as problem:  # too long for a name
            return [f"{name}, which cannot be opened: {problem.strerror}."]
        except ValueError as problem:  # a null byte
            return [f"{name}, which cannot be a path: {problem}."]
        return [] if found is not None or (self.known and self.download) else [self.missing()]


def complete_job(kind: type[AnyJob], services: Services, values: Mapping[str, Any], model_group: str,
                 models_dir: Path, problems_of: Callable[[AnyJob], list[str]]) -> tuple[AnyJob, list[str]]:
    """The job of a panel's ``values``, with the webui's folder of models in ``model_group``, and its problems."""
    filled = {group: dict(content) if isinstance(content, Mapping) else content for group, content in values.items()}
    dataset, model = filled.setdefault("dataset", {}), filled.setdefault(model_group, {})
    problems: list[str] = []
    if isinstance(dataset, dict):
        try:
            dataset["train_data_dir"] = str(dataset_folder(services.host, str(dataset.get("train_data_dir") or "")))
        except TrainLoraError as problem:
            problems.append(str(problem))
    if isinstance(model, dict):
        model["models_dir"] = str(models_dir)
    job, wrong = read_settings(kind, filled, source=f"The {'tag' if kind is TagJob else 'mask'} job")
    problems += wrong
    return job, problems or problems_of(job)


def queue_run(services: Services, job: TagJob | MaskJob, command: str, name: str, device: str) -> RunFolder:
    """Queue a run of ``job`` for ``device``; ``name`` and the folder's name are that of the run."""
    run = create_run(services.runs_dir, f"{name}-{Path(job.dataset.train_data_dir).name}", job_to_yaml(job), command)
    enqueue(run, device)
    services.supervisor.wake()
    return run


def resume_run(services: Services, run_id: str, command: str, kind: str) -> RunFolder:
    """Resume an interrupted run of ``command``. Raises ``RunError`` that says ``kind`` if it was not interrupted."""
    run = open_run(services.runs_dir, run_id)
    state = services.index.of(run).state
    if run.command != command or state != "lost":
        raise RunError(f"The run {run_id} is {state}; only an interrupted {kind} run can be resumed.")
    run.process_file.unlink(missing_ok=True)  # the run now counts as queued, no longer as interrupted
    enqueue(run, claimed_device(run) or "cpu")
    services.supervisor.wake()
    return run


def latest_run(services: Services, command: str) -> dict[str, Any] | None:
    """The run of ``command`` that is running, queued or last interrupted, for a newly opened page."""
    for run in services.index.all():
        if run.command == command:
            waits = run.state == "waiting" and run.device is not None
            return {"id": run.id, "state": run.state} if run.alive or waits or run.state == "lost" else None
    return None
