"""Estimates the webui's time per plot image from earlier plots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...files.json_file import is_finite
from ...files.walk import natural_key
from .plot_files import PLOT_FILE, PLOTS, read_plot

_MOST_READ = 40


def pace_of(plot: dict[str, Any]) -> dict[str, float] | None:
    """Return the measurements of ``plot``: seconds per image, sampling steps and pixels; ``None`` if there are none.

    Plots over several checkpoints are not used, since their times include loading.
    """
    seconds, steps = plot.get("seconds_each"), plot.get("steps")
    pixels = _product(plot.get("width"), plot.get("height"))
    if plot["rows"].get("title") == "Checkpoint" or not _positive(seconds) or not _positive(steps) or not pixels:
        return None
    return {"seconds": float(seconds), "steps": float(steps), "pixels": pixels}  # type: ignore[arg-type]


def earlier_pace(runs: Path, checkpoint: str) -> dict[str, float] | None:
    """Return the pace of the newest measured plot of any run with ``checkpoint``; ``None`` if there is none."""
    files = sorted(runs.glob(f"*/{PLOTS}/*/{PLOT_FILE}"), key=lambda file: natural_key(file.parent.name), reverse=True)
    for file in files[:_MOST_READ]:
        plot = read_plot(file)
        pace = pace_of(plot) if plot.get("checkpoint") == checkpoint else None
        if pace is not None:
            return pace
    return None


def _product(width: Any, height: Any) -> float:
    return float(width * height) if _positive(width) and _positive(height) else 0.0


def _positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and is_finite(value) and value > 0
