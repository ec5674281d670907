"""Notes about a job, reported at the start of its run."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..advice.notes import Surroundings, notes_on
from ..advice.size import read_shapes
from ..advice.surroundings import PlanFacts
from ..config.groups.network import NetworkSettings
from ..config.job import Job
from ..models.load import BaseModel
from ..models.prediction import VELOCITY
from ..runs.folder import RunFolder
from ..runs.lend_ticket import read_ticket
from .precision import auto_precision
from .reporting.report import Reporter


def report_notes(job: Job, network: NetworkSettings, base: BaseModel, plan: PlanFacts, smallest_side: int,
                 device: str, run: RunFolder, reporter: Reporter, *, known: Collection[str] = (),
                 prefix: str = "") -> set[str]:
    """Report a warning, which begins with ``prefix``, for each note on ``job`` in its original form that is not
    ``known``; returns the notes.

    ``network`` is the network being trained, which may come from a LoRA file. ``base`` is as loaded, before the job's
    own prediction type is applied. ``smallest_side`` is that of the images as trained, in pixels; ``device`` is
    ``cpu``, ``cuda`` or ``mps``.
    """
    family = base.family
    around = Surroundings(device, read_ticket(run.path) is not None, family.name, len(family.text_encoders),
                          family.follows_clip_skip, base.prediction_type == VELOCITY,
                          read_shapes(Path(job.base.checkpoint)) or {}, plan,
                          Path(job.base.checkpoint).with_suffix(".yaml").is_file(),
                          auto_precision=auto_precision(job.training, smallest_side))
    texts = [note.text for note in notes_on(job, around, network)]
    for text in texts:
        if text not in known:
            reporter.warning(f"{prefix}{text}")
    return set(texts)
