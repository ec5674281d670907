"""The job of a run as its folder has it, for showing: what this version does not know any more is left out."""

from __future__ import annotations

from typing import Any

from ..config.job import Job
from ..config.load import job_to_dict, merged, read_file, read_job, read_settings
from ..config.tag_job import TagJob
from .folder import TAG, TRAIN, RunFolder


def settings_of(run: RunFolder) -> Job:
    """The settings of a training run, changes included; one that cannot be read has its default.

    Raises ``ConfigError`` if a file of the job is no YAML.
    """
    values = read_file(run.job_file)
    if run.changes_file is not None:
        values = merged(values, read_file(run.changes_file))
    return read_job(values)[0]


def values_of(run: RunFolder) -> dict[str, Any]:
    """What was asked of a run of any kind, as nested plain values. Raises as ``settings_of``."""
    values = read_file(run.job_file)
    if run.command == TRAIN:
        return job_to_dict(read_job(values)[0])
    if run.command == TAG:
        return job_to_dict(read_settings(TagJob, values, source="The tag job")[0])
    return {str(name): str(value) for name, value in values.items()} if isinstance(values, dict) else {}
