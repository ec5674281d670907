"""Detects the family of a checkpoint from its header, and what follows from it for the form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...advice.families import SDXL, FamilyAdvice, advice_for
from ...advice.family_defaults import choose_base, chosen_base, family_defaults, fill_in, unused_settings
from ...advice.size import read_header
from ...advice.surroundings import PlanFacts, Surroundings
from ...config.job import Job
from ...errors import CheckpointError
from ...host.interface import Host
from ...models.family import Family
from ...models.prediction import VELOCITY, detect_base


@dataclass(frozen=True)
class FamilyFacts:
    """The family of a checkpoint: ``name`` is empty if not detected, ``problem`` if training on it is possible.

    ``defaults`` are settings (``group.name``) with another default for this family; ``unused`` gives the reason for
    each setting that has no effect on it.
    """

    name: str = ""
    problem: str = ""
    defaults: Mapping[str, Any] | None = None
    unused: Mapping[str, str] | None = None
    base: str = ""
    """The base within SDXL whose settings are used; empty if none was chosen or detected."""
    detected: str = ""
    """The base named by the file's name or metadata."""
    notes: tuple[str, ...] = ()
    """Common practice with this base, in sentences."""

    def as_json(self) -> dict[str, Any]:
        """Return the facts as JSON for the page."""
        return {**asdict(self), "defaults": dict(self.defaults or {}), "unused": dict(self.unused or {})}


def facts_of(checkpoint: Path, chosen: str = "") -> FamilyFacts:
    """Return the facts about ``checkpoint``; empty for .ckpt files, which would have to be read completely.

    ``chosen`` is the user's choice of the base within SDXL, empty to detect it.
    """
    header = read_header(checkpoint)
    if header is None:
        return FamilyFacts()
    try:
        family, declared = detect_base(checkpoint, *header)
    except CheckpointError as problem:
        return FamilyFacts(problem=str(problem))
    velocity = None if declared is None else declared.kind == VELOCITY
    choice = choose_base(family.name, checkpoint.stem, header[1], velocity, chosen)
    row = choice.advice
    defaults = family_defaults(family.name, row, family.follows_clip_skip)
    base = row.name if row.name != family.name or (chosen and family.name == SDXL.name) else ""
    return FamilyFacts(family.name, "", defaults, _unused(family), base, choice.detected,
                       (*([choice.overruled] if choice.overruled else []), *row.notes))


def advice_of(job: Job) -> FamilyAdvice:
    """Return the row of the family table for the checkpoint of ``job``; SD 1.x if unknown."""
    facts = facts_of(Path(job.base.checkpoint), job.base.sdxl_base or "")
    return advice_for(facts.name, facts.base)


def surroundings(job: Job, host: Host, shapes: Mapping[str, Sequence[int]], plan: PlanFacts | None) -> Surroundings:
    """Return the context of the form's ``job`` in the webui ``host``; ``shapes`` are the checkpoint's."""
    on = job.training.device if job.training.device != "auto" else host.device()
    checkpoint = Path(job.base.checkpoint)
    header = read_header(checkpoint) if shapes else None
    try:
        family, declared = detect_base(checkpoint, *header) if header else (None, None)
    except CheckpointError:
        family, declared = None, None  # reported by the form
    if family is None:
        return Surroundings(on.partition(":")[0], True, shapes=shapes, plan=plan)
    return Surroundings(on.partition(":")[0], True, family.name, len(family.text_encoders), family.follows_clip_skip,
                        declared is not None and declared.kind == VELOCITY, shapes, plan,
                        checkpoint.with_suffix(".yaml").is_file(), host.reads_v_prediction,
                        host.prediction_of(checkpoint))


def fill_defaults(checkpoint: Path, values: dict[str, Any]) -> None:
    """Put the family's defaults into a job's ``values`` where they are missing."""
    fill_in(values, facts_of(checkpoint, chosen_base(values)).defaults or {})


def _unused(family: Family) -> dict[str, str]:
    reasons = unused_settings(family.name, len(family.text_encoders), family.follows_clip_skip)
    return {key: f"Has no effect: {reason}." for key, reason in reasons.items()}
