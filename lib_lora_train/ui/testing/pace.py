"""How long the webui needs for a picture of a plot, from the plots that were drawn before."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from .plot_files import PLOT_FILE, PLOTS, read_plot

_MOST_READ = 40


def pace_of(plot: dict[str, Any]) -> dict[str, float] | None:
    """What was measured in ``plot``: seconds for a picture, its sampling steps and pixels; ``None`` if nothing was.

    A plot over several checkpoints says nothing, since it loads them in between.
    """
    seconds, steps = plot.get("seconds_each"), plot.get("steps")
    pixels = _product(plot.get("width"), plot.get("height"))
    if plot["rows"].get("title") == "Checkpoint" or not _positive(seconds) or not _positive(steps) or not pixels:
        return None
    return {"seconds": float(seconds), "steps": float(steps), "pixels": pixels}  # type: ignore[arg-type]


def earlier_pace(runs: Path, checkpoint: str) -> dict[str, float] | None:
    """The pace of the newest plot of any run that was measured with ``checkpoint``; ``None`` if there is none."""
    files = sorted(runs.glob(f"*/{PLOTS}/*/{PLOT_FILE}"), key=lambda file: file.parent.name, reverse=True)
    for file in files[:_MOST_READ]:
        plot = read_plot(file)
        pace = pace_of(plot) if plot.get("checkpoint") == checkpoint else None
        if pace is not None:
            return pace
    return None


def _product(width: Any, height: Any) -> float:
    return float(width * height) if _positive(width) and _positive(height) else 0.0


def _positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0
