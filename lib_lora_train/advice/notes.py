"""Notes on a job before it runs: settings that have no effect, and settings that conflict.

A single list for ``--check``, the start of a run, and the form, which shows each note beside its setting.
"""

from __future__ import annotations

import dataclasses

from ..config.groups.network import NetworkSettings
from ..config.job import Job
from .block_notes import block_notes
from .no_effect import no_effect_notes
from .no_effect_images import image_notes
from .optimizer_guards import cpu_notes, guard_notes
from .surroundings import Note, Surroundings
from .webui_prediction import prediction_notes

__all__ = ["Note", "Surroundings", "notes_on"]


def notes_on(job: Job, around: Surroundings, network: NetworkSettings | None = None) -> list[Note]:
    """Every note on ``job``; none if any setting is invalid, which ``problems_of`` reports.

    ``network``: the type and sizes of the LoRA file to continue from, if known.
    """
    if not can_be_read(job):
        return []
    as_trained = job if network is None else dataclasses.replace(job, network=network)
    return [*prediction_notes(job, around), *no_effect_notes(job, around),
            *image_notes(job, around), *guard_notes(as_trained), *cpu_notes(job, around),
            *block_notes(as_trained, around)]


def can_be_read(job: Job) -> bool:
    """Whether sizes, folders and block lists of ``job`` are valid; if not, ``problems_of`` says why."""
    try:
        job.dataset.size, job.dataset.by_folder, job.network.size_of(None, spatial=False)
    except ValueError:
        return False
    return True
