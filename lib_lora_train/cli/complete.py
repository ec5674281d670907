"""Completes a job file with the defaults of its checkpoint's family, as the form does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..advice.family_defaults import choose_base, chosen_base, family_defaults, fill_in
from ..advice.size import read_header
from ..config.job import setting_named
from ..errors import CheckpointError
from ..models.prediction import VELOCITY, detect_base


def complete(values: dict[str, Any]) -> None:
    """Fill in missing ``values`` of a job with the defaults of the checkpoint's family, and print them.

    Nothing is added for .ckpt files or unreadable checkpoints; the run reports what is wrong with those.
    """
    base = values.get("base")
    name = base.get("checkpoint") if isinstance(base, dict) else None
    header = read_header(Path(name)) if isinstance(name, str) and name else None
    if header is None:
        return
    checkpoint = Path(str(name))
    try:
        family, declared = detect_base(checkpoint, *header)
    except CheckpointError:
        return
    velocity = None if declared is None else declared.kind == VELOCITY
    choice = choose_base(family.name, checkpoint.stem, header[1], velocity, chosen_base(values))
    if choice.overruled:
        print(choice.overruled)
    filled = fill_in(values, family_defaults(family.name, choice.advice, family.follows_clip_skip))
    changes = [f"{key}={value}" for key, value in filled.items() if value != setting_named(key).default]
    if changes:
        print(f"The job leaves these out, so they are set for {choice.advice.name}: {', '.join(changes)}.")
