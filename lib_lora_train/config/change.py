"""Jobs are frozen; this module makes modified copies."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from .job import Job


def changed(job: Job, changes: Mapping[str, object]) -> Job:
    """A copy of ``job`` with ``changes`` (``group.setting`` to value). Raises ``TypeError`` for an unknown setting."""
    for key, value in changes.items():
        group, name = key.split(".")
        part = dataclasses.replace(getattr(job, group), **{name: value})
        job = dataclasses.replace(job, **{group: part})
    return job
