"""Plots stored in their run's folder: ``plots/PLOT/plot.json`` and the images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...files.json_file import DamagedFileError, read_object

PLOTS = "plots"
GRIDS = "grids"
"""Plots of a run beside others."""
PLOT_FILE = "plot.json"
_MOST_BYTES = 4 << 20
_FACTS: dict[str, type | tuple[type, ...]] = {
    "kind": str, "state": str, "created": (int, float), "cells": dict, "changes": dict, "grid": str, "columns": dict,
    "rows": dict, "file": str, "prompts": list, "error": str}


def read_plot(file: Path) -> dict[str, Any]:
    """Return a stored plot; if its file is damaged, a failed plot whose error says why."""
    side = {"title": "", "values": [], "headings": []}
    try:
        plot = read_object(file, _MOST_BYTES)
        for name, kind in _FACTS.items():
            if not isinstance(plot.get(name), kind):
                raise DamagedFileError(f"“{name}” is missing or of another kind")
        if not all({*side} <= {*plot[name]} for name in ("columns", "rows")):
            raise DamagedFileError("its columns or rows have no headings")
        for name in ("columns", "rows"):
            _check_side(name, plot[name])
    except (DamagedFileError, OSError) as problem:
        return {"id": file.parent.name, "kind": "", "created": 0.0, "state": "failed", "cells": {}, "grid": "",
                "changes": {}, "best": None, "columns": side, "rows": side, "file": "", "prompts": [], "seed": 0,
                "width": 0, "height": 0, "steps": 0,
                "error": f"This plot cannot be shown: {file} is damaged, {problem}. Its images are in that folder."}
    return {**plot, "id": file.parent.name}


def _check_side(name: str, side: dict[str, Any]) -> None:
    if not isinstance(side["title"], str) or not all(isinstance(side[part], list) for part in ("values", "headings")):
        raise DamagedFileError(f"“{name}” has no title, or no lists of values and headings")
    if not all(isinstance(one, str) for one in side["headings"]):
        raise DamagedFileError(f"“{name}” has a heading that is no text")
