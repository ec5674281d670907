"""What a comparison found: medians, ratios within each round, and how far these spread."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

OURS = "this project"


@dataclass(frozen=True)
class Measured:
    """One program in one round. Seconds and bytes; ``None`` is what was not measured."""

    first_step_seconds: float
    step_seconds: float
    first_step_processor_seconds: float
    step_processor_seconds: float
    memory_bytes: int
    own_memory_bytes: int
    gpu_bytes: int | None = None
    held_out_loss: float | None = None


WORDS = {
    "first_step_seconds": ("start to end of first step", 1.0, "s"),
    "step_seconds": ("one step, median", 1.0, "s"),
    "first_step_processor_seconds": ("start to end of first step, busy cores", 1.0, "s"),
    "step_processor_seconds": ("one step, busy cores", 1.0, "s"),
    "memory_bytes": ("peak memory, all processes", 2.0 ** 30, "GB"),
    "own_memory_bytes": ("of that, without mapped files", 2.0 ** 30, "GB"),
    "gpu_bytes": ("peak GPU memory", 2.0 ** 30, "GB"),
    "held_out_loss": ("held-out loss", 1.0, "")}
"""Each number in words, what it is divided by, and the unit then."""


@dataclass(frozen=True)
class Comparison:
    """One number of both programs: medians, the median of the rounds' ratios, and the least and most of these."""

    ours: float
    peer: float
    ratio: float
    lowest: float
    highest: float


def compare(ours: Sequence[Measured], peer: Sequence[Measured]) -> dict[str, Comparison]:
    """Each number that both have, by its field's name; ``ours[i]`` and ``peer[i]`` are of one round."""
    found = {}
    for name in WORDS:
        one, other = ([getattr(measured, name) for measured in side] for side in (ours, peer))
        if None in one or None in other or not all(other):
            continue
        ratios = [mine / theirs for mine, theirs in zip(one, other, strict=True)]
        found[name] = Comparison(statistics.median(one), statistics.median(other), statistics.median(ratios),
                                 min(ratios), max(ratios))
    return found


def table(found: Mapping[str, Comparison], peer: str, rounds: int) -> str:
    """The comparison as a Markdown table."""
    lines = [f"| median of {rounds} {'round' if rounds == 1 else 'rounds'} | {OURS} | {peer} | ratio | "
             "lowest to highest |", "|---|---|---|---|---|"]
    for name, compared in found.items():
        words, size, unit = WORDS[name]
        one, other = (f"{_short(value / size)} {unit}".strip() for value in (compared.ours, compared.peer))
        lines.append(f"| {words} | {one} | {other} | {compared.ratio:.2f} | "
                     f"{compared.lowest:.2f} to {compared.highest:.2f} |")
    return "\n".join(lines)


def as_json(found: Mapping[str, Comparison], ours: Sequence[Measured], peer: Sequence[Measured],
            about: Mapping[str, Any]) -> dict[str, Any]:
    """All of it as plain values."""
    return {**about, "compared": {name: asdict(one) for name, one in found.items()},
            "rounds": [{"ours": asdict(one), "peer": asdict(other)} for one, other in zip(ours, peer, strict=True)]}


def _short(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"
