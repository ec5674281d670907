"""What family a checkpoint is of, from its header alone, and what that means for the form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...advice.families import NOOBAI, FamilyAdvice, advice_for, detected_base, named_velocity
from ...advice.size import read_header
from ...advice.surroundings import PlanFacts, Surroundings
from ...config.job import Job
from ...errors import CheckpointError
from ...models.family import SD2, Family
from ...models.prediction import VELOCITY, told_base


@dataclass(frozen=True)
class FamilyFacts:
    """``name`` is empty if it is not told, ``problem`` if the checkpoint can be trained on.

    ``defaults`` are settings (``group.name``) that have another default for it; ``unused`` says of settings that do
    nothing for it why.
    """

    name: str = ""
    problem: str = ""
    defaults: Mapping[str, Any] | None = None
    unused: Mapping[str, str] | None = None
    base: str = ""
    """Pony, Illustrious or NoobAI, if the file's name or metadata says so."""
    notes: tuple[str, ...] = ()
    """What users of it do, in sentences."""

    def as_json(self) -> dict[str, Any]:
        """As the page reads it."""
        return {**asdict(self), "defaults": dict(self.defaults or {}), "unused": dict(self.unused or {})}


def facts_of(checkpoint: Path) -> FamilyFacts:
    """What is known of ``checkpoint``; nothing of .ckpt files, which would have to be read whole."""
    header = read_header(checkpoint)
    if header is None:
        return FamilyFacts()
    try:
        family, told = told_base(checkpoint, *header)
    except CheckpointError as problem:
        return FamilyFacts(problem=str(problem))
    base = detected_base(family.name, checkpoint.stem, header[1])
    row, defaults = advice_for(family.name, base), _defaults(family)
    if base and row.cfg_scale != advice_for(family.name).cfg_scale:
        defaults["sample.cfg_scale"] = row.cfg_scale
    if base == NOOBAI.name and (told.kind == VELOCITY if told else named_velocity(base, checkpoint.stem)):
        defaults |= {"base.v_parameterization": True, "loss.zero_terminal_snr": True}
    return FamilyFacts(family.name, "", defaults, _unused(family), base, row.notes)


def advice_of(checkpoint: Path) -> FamilyAdvice:
    """The row of the table of families that ``checkpoint`` belongs to; SD 1.x if nothing tells."""
    facts = facts_of(checkpoint)
    return advice_for(facts.name, facts.base)


def surroundings(job: Job, device: str, shapes: Mapping[str, Sequence[int]], plan: PlanFacts | None) -> Surroundings:
    """What is known around a ``job`` of the form, for a webui on ``device``; ``shapes`` are the checkpoint's."""
    on = job.training.device if job.training.device != "auto" else device
    header = read_header(Path(job.base.checkpoint)) if shapes else None
    try:
        family, told = told_base(Path(job.base.checkpoint), *header) if header else (None, None)
    except CheckpointError:
        family, told = None, None  # the form says what is wrong with it
    if family is None:
        return Surroundings(on.partition(":")[0], True, shapes=shapes, plan=plan)
    return Surroundings(on.partition(":")[0], True, family.name, len(family.text_encoders), family.follows_clip_skip,
                        told is not None and told.kind == VELOCITY, shapes, plan,
                        Path(job.base.checkpoint).with_suffix(".yaml").is_file())


def fill_defaults(checkpoint: Path, values: dict[str, Any]) -> None:
    """Put the family's defaults into a job's ``values`` where they say nothing."""
    for key, default in (facts_of(checkpoint).defaults or {}).items():
        group, name = key.split(".")
        held = values.setdefault(group, {})
        if isinstance(held, dict) and held.get(name) is None:
            held[name] = default


def _defaults(family: Family) -> dict[str, Any]:
    defaults: dict[str, Any] = {}
    if family.resolution != SD2.resolution:
        defaults["dataset.resolution"] = str(family.resolution)
    if not family.follows_clip_skip:
        defaults["base.clip_skip"] = 1
    return defaults


def _unused(family: Family) -> dict[str, str]:
    unused = {}
    if not family.follows_clip_skip:
        unused["base.clip_skip"] = f"Has no effect: {family.name} always reads the last layer but one."
    if len(family.text_encoders) == 1:
        unused["optimizer.text_encoder_lr2"] = f"Has no effect: {family.name} has one text encoder."
    return unused
