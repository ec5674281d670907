"""The settings in which runs differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...config.job import Job, all_settings

FEWEST, MOST = 2, 6
"""How many runs can be compared."""
_NAMES = ("save.output_name", "save.output_dir")
"""Settings that say where the result goes; they are different for any two runs and change nothing in the training."""


@dataclass(frozen=True)
class Difference:
    """A setting with different values: its key (``group.name``), its label in the form, and the value of each run,
    ``None`` where it is empty or the run cannot be read.
    """

    key: str
    label: str
    values: tuple[Any, ...]


def differences(jobs: Sequence[Job | None]) -> list[Difference]:
    """Return the settings whose values differ among ``jobs``, in the order of the schema.

    ``None`` stands for a run whose settings cannot be read, which makes no difference.
    """
    found = []
    for field in all_settings():
        values = [None if job is None else getattr(getattr(job, field.group), field.name) for job in jobs]
        known = [value for value, job in zip(values, jobs, strict=True) if job is not None]
        if field.key not in _NAMES and any(value != known[0] for value in known[1:]):
            found.append(Difference(field.key, field.label, tuple(values)))
    return found
