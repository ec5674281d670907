"""The job in a run's folder, for display: settings that this version no longer knows are ignored."""

from __future__ import annotations

from typing import Any

from yaml import YAMLError

from ..config.job import Job
from ..config.load import job_to_dict, merged, read_file, read_flat, read_job, read_settings
from ..config.mask_job import MaskJob
from ..config.tag_job import TagJob
from ..config.text_yaml import is_grouped, is_mapping
from ..config.tool_jobs import TOOL_JOBS
from ..files.reading import read_text, reason
from .folder import MASK, TAG, TOOLS, TRAIN, RunFolder


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
    if run.command in TOOLS and isinstance(values, dict):
        return job_to_dict(read_flat(TOOL_JOBS[run.command], values, source="The job")[0])
    return {str(name): str(value) for name, value in values.items()} if isinstance(values, dict) else {}


class JobCheck:
    """Whether a run's job file can be read; parsed again only when it has changed."""

    def __init__(self, run: RunFolder) -> None:
        self._file, self._grouped = run.job_file, run.command in (TRAIN, TAG, MASK)
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
