"""The job in a run's folder: read for display, where settings that this version no longer knows are ignored, and
changed while the run waits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from yaml import YAMLError

from ..config.change import changed
from ..config.groups.knows import KnowsJob
from ..config.job import Job
from ..config.load import job_to_dict, job_to_yaml, load_job, merged, read_file, read_flat, read_job, read_settings
from ..config.mask_job import MaskJob
from ..config.tag_job import TagJob
from ..config.text_yaml import is_grouped, is_mapping
from ..config.tool_jobs import TOOL_JOBS
from ..errors import ConfigError
from ..files.atomic import write_atomically
from ..files.reading import read_text, reason
from .folder import KNOWS, MASK, TAG, TOOLS, TRAIN, RunFolder
from .queue import QueueRequest, change_queued


def settings_of(run: RunFolder) -> Job:
    """The settings of a training run, with changes applied; unreadable settings have their defaults.

    Raises ``ConfigError`` if a job file is not valid YAML.
    """
    values = read_file(run.job_file)
    if run.changes_file is not None:
        values = merged(values, read_file(run.changes_file))
    return read_job(values)[0]


def values_of(run: RunFolder) -> dict[str, Any]:
    """The job of a run of any kind, as nested plain values. Raises as ``settings_of``."""
    values = read_file(run.job_file)
    if run.command == TRAIN:
        return job_to_dict(read_job(values)[0])
    if run.command == TAG:
        return job_to_dict(read_settings(TagJob, values, source="The tag job")[0])
    if run.command == MASK:
        return job_to_dict(read_settings(MaskJob, values, source="The mask job")[0])
    if run.command == KNOWS:
        return job_to_dict(read_settings(KnowsJob, values, source="The job")[0])
    if run.command in TOOLS and isinstance(values, dict):
        return job_to_dict(read_flat(TOOL_JOBS[run.command], values, source="The job")[0])
    return {str(name): str(value) for name, value in values.items()} if isinstance(values, dict) else {}


def give_device(run: RunFolder, device: str, *, any_gpu: bool = False) -> None:
    """Queue a waiting training for ``device``; with ``any_gpu`` it may be given another GPU later.

    Raises ``RunError`` if it is not in the queue any more, ``ConfigError`` if its job cannot be read, ``WriteError``.
    """
    def change(request: QueueRequest) -> QueueRequest:
        if device != request.device:
            job = changed(load_job(run.job_file), {"training.device": device})
            write_atomically(run.job_file, job_to_yaml(job))
        return replace(request, device=device, any_gpu=any_gpu)

    change_queued(run, change)


def settle_device(run: RunFolder, device: str) -> None:
    """Let the job of a claimed training name ``device``, on which it starts, if it names another one.

    That happens if a change of the device was interrupted: the queue's file decides. A job that cannot be read stays,
    since its worker reports it. Raises ``WriteError``.
    """
    try:
        job = load_job(run.job_file)
    except ConfigError:
        return
    same = {"auto": ("cuda:0", "mps", "cpu"), "cuda": ("cuda:0",)}.get(job.training.device, ())
    if device not in (job.training.device, *same):
        write_atomically(run.job_file, job_to_yaml(changed(job, {"training.device": device})))


class JobCheck:
    """Whether a run's job file can be read; parsed again only when it has changed."""

    def __init__(self, run: RunFolder) -> None:
        self._file, self._grouped = run.job_file, run.command in (TRAIN, TAG, MASK, KNOWS)
        self._seen: tuple[int, int] | None = None
        self._damage = ""

    def unchanged(self) -> bool:
        """Whether the file is unchanged since the last call of ``damage``."""
        return self._seen is not None and self._stamp() == self._seen

    def damage(self) -> str:
        """The file's problem, as a clause that begins with its name; empty if there is none."""
        if not self.unchanged():
            self._seen = self._stamp()
            self._damage = self._examine()
        return self._damage

    def _stamp(self) -> tuple[int, int] | None:
        try:
            state = self._file.stat()
        except OSError:
            return None
        return state.st_size, state.st_mtime_ns

    def _examine(self) -> str:
        try:
            content = read_text(self._file)
            is_job = is_grouped(content) if self._grouped else is_mapping(content)
        except (OSError, ValueError, YAMLError) as problem:
            return f"{self._file.name} cannot be read: {reason(problem)[:200]}"
        return "" if is_job else f"{self._file.name} cannot be read: it holds no groups of settings"
