"""Jobs are frozen; here is another with some settings changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from .job import Job


def changed(job: Job, changes: Mapping[str, object]) -> Job:
    """``job`` with settings, named as ``group.setting``, changed. Raises ``TypeError`` if there is no such setting."""
    for key, value in changes.items():
        group, name = key.split(".")
        part = dataclasses.replace(getattr(job, group), **{name: value})
        job = dataclasses.replace(job, **{group: part})
    return job
