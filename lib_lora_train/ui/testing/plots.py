"""Plots that were asked for in the tab: drawn by the webui one after the other, kept in the folder of their run."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageStat

from ...errors import RunError, TrainLoraError, WriteError
from ...files.atomic import write_atomically
from ...files.json_file import DamagedFileError, read_object
from ...files.writing import writing
from ...host.interface import PlotDrawer, PlotPlan
from ...runs.folder import RunFolder
from ..pictures import keep_picture
from .plot_plans import PlotRequest, plan_of

PLOTS = "plots"
_FILE = "plot.json"
_MOST_BYTES = 4 << 20
_FACTS: dict[str, type | tuple[type, ...]] = {
    "kind": str, "state": str, "created": (int, float), "cells": dict, "changes": dict, "grid": str, "columns": dict,
    "rows": dict, "file": str, "prompts": list, "error": str}


class PlotDesk:
    """Hands plots to the webui, and keeps what comes back. One plot is drawn at a time."""

    def __init__(self, new_drawer: Callable[[], PlotDrawer | None]) -> None:
        self._new_drawer = new_drawer
        self._drawer: PlotDrawer | None = None
        self._lock = threading.Lock()
        self._now: _Plot | None = None
        self._unkept: dict[str, dict[str, Any]] = {}

    @property
    def samplers(self) -> list[str]:
        """The samplers that can be chosen; none where plots cannot be drawn."""
        drawer = self._new_drawer()
        return drawer.samplers() if drawer else []

    def start(self, run: RunFolder, request: PlotRequest) -> dict[str, Any]:
        """Begin to draw; the plot as it is kept. Raises ``RunError`` if that cannot be done now."""
        drawer = self._new_drawer()
        if drawer is None:
            raise RunError("Plots can be drawn from here in AUTOMATIC1111's webui only.")
        plan, columns, rows = plan_of(request)
        with self._lock:
            if self._now is not None:
                raise RunError("A plot is being drawn already. Wait for it, or stop it.")
            self._drawer = drawer
            self._now = plot = _Plot(run, {
                "kind": request.kind, "columns": columns.as_dict(), "rows": rows.as_dict(),
                "file": [file for file in request.files if file != "None"][-1], "prompts": request.prompts,
                "seed": plan.picture.seed, "width": plan.picture.width, "height": plan.picture.height,
                "steps": plan.picture.steps})
        try:
            plot.keep()
        except OSError:
            with self._lock:
                self._now = None
            raise
        threading.Thread(target=self.draw, args=(plot, plan, drawer), name="train-lora-plot", daemon=True).start()
        return plot.facts

    def draw(self, plot: _Plot, plan: PlotPlan, drawer: PlotDrawer) -> None:
        """Have ``plot`` drawn, and keep what comes of it whatever happens."""
        try:
            plot.finish(drawer.draw(plan, plot.add))
        except TrainLoraError as problem:
            plot.fail(str(problem))
        except Exception as problem:  # a bug, or the webui's: it is shown where the plot would be
            logging.getLogger(__name__).exception("The plot %s could not be drawn", plot.facts["id"])
            plot.fail(f"The webui could not draw it: {type(problem).__name__}: {problem}. Its console says more.")
        finally:
            with self._lock:
                self._now = None
                if plot.unkept:
                    self._unkept[plot.facts["id"]] = plot.facts

    def now(self) -> dict[str, Any] | None:
        """What is being drawn: run, plot, and the share that is done; ``waiting`` while the webui is busy."""
        plot = self._now
        if plot is None or self._drawer is None:
            return None
        done, total = len(plot.facts["cells"]), plot.total
        within = self._drawer.share_of_picture()
        return {"run": plot.run.id, "plot": plot.facts["id"], "done": done, "total": total,
                "waiting": within is None and not done, "share": min(1.0, (done + (within or 0)) / total)}

    def stop(self) -> None:
        """Leave out what is not drawn yet."""
        if self._now is not None and self._drawer is not None:
            self._now.stopped = True
            self._drawer.stop()

    def all_of(self, run: RunFolder) -> list[dict[str, Any]]:
        """Every plot of ``run``, the newest first."""
        plots = [read_plot(file) for file in sorted(run.path.glob(f"{PLOTS}/*/{_FILE}"), reverse=True)]
        drawn = self._now.facts["id"] if self._now is not None else ""
        for plot in plots:
            if plot["state"] == "drawing" and plot["id"] != drawn:
                plot["state"] = "lost"
        return [self._unkept.get(plot["id"], plot) for plot in plots]

    def mark(self, run: RunFolder, plot_id: str, column: int, row: int) -> dict[str, Any]:
        """Remember the best picture of a plot; the plot. Raises ``RunError`` if there is no such picture."""
        plot = next((plot for plot in self.all_of(run) if plot["id"] == plot_id), None)
        if plot is None or f"{column},{row}" not in plot["cells"]:
            raise RunError("There is no such picture to mark.")
        plot["best"] = [column, row]
        if plot["state"] != "drawing":
            _write(run.path / PLOTS / plot_id / _FILE, plot)
        return plot


class _Plot:
    def __init__(self, run: RunFolder, facts: dict[str, Any]) -> None:
        self.run = run
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{facts['kind']}"
        self._folder = _new_folder(run.path / PLOTS, name)
        self.stopped = False
        self.unkept = False
        """Whether not even its failure could be written."""
        self.facts = {"id": self._folder.name, "created": time.time(), "state": "drawing", "error": "", "cells": {},
                      "grid": "", "changes": {}, "best": None, **facts}
        self._reference: dict[int, Image.Image] = {}

    @property
    def total(self) -> int:
        return len(self.facts["columns"]["headings"]) * len(self.facts["rows"]["headings"])

    def add(self, column: int, row: int, picture: Image.Image) -> None:
        name = f"cell-{column:02d}-{row:02d}.png"
        keep_picture(self._folder / name, picture)
        self.facts["cells"] = {**self.facts["cells"], f"{column},{row}": f"{PLOTS}/{self._folder.name}/{name}"}
        if self.facts["kind"] == "blocks":
            self._compare(column, row, picture.convert("RGB"))
        self.keep()

    def _compare(self, column: int, row: int, picture: Image.Image) -> None:
        """How much leaving a block out changes the picture: mean difference of a pixel, 0 to 255."""
        if column == 0:
            self._reference[row] = picture
        elif row in self._reference:
            difference = ImageStat.Stat(ImageChops.difference(self._reference[row], picture)).mean
            self.facts["changes"] = {**self.facts["changes"], f"{column},{row}": sum(difference) / len(difference)}

    def finish(self, grid: Image.Image | None) -> None:
        if grid is not None:
            keep_picture(self._folder / "grid.png", grid)
            self.facts["grid"] = f"{PLOTS}/{self._folder.name}/grid.png"
        if len(self.facts["cells"]) < self.total and not self.stopped:
            missing = self.total - len(self.facts["cells"])
            self.fail(f"The webui left out {missing} of {self.total} pictures; its console says why.")
            return
        self.facts["state"] = "stopped" if self.stopped else "finished"
        self.keep()

    def fail(self, sentence: str) -> None:
        self.facts.update(state="failed", error=sentence)
        try:
            self.keep()
        except WriteError:  # the same disk; the desk knows it for as long as the webui runs
            self.unkept = True

    def keep(self) -> None:
        _write(self._folder / _FILE, self.facts)


def _new_folder(plots: Path, name: str) -> Path:
    for attempt in range(1, 1000):
        folder = plots / (name if attempt == 1 else f"{name}-{attempt}")
        with writing(folder), contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise RunError(f"There are too many plots named {name} in {plots}.")


def read_plot(file: Path) -> dict[str, Any]:
    """A plot as it was kept; one whose file is damaged has failed, and its error says why."""
    side = {"title": "", "values": [], "headings": []}
    try:
        plot = read_object(file, _MOST_BYTES)
        for name, kind in _FACTS.items():
            if not isinstance(plot.get(name), kind):
                raise DamagedFileError(f"“{name}” is missing or of another kind")
        if not all({*side} <= {*plot[name]} for name in ("columns", "rows")):
            raise DamagedFileError("its columns or rows have no headings")
    except (DamagedFileError, OSError) as problem:
        return {"id": file.parent.name, "kind": "", "created": 0.0, "state": "failed", "cells": {}, "grid": "",
                "changes": {}, "best": None, "columns": side, "rows": side, "file": "", "prompts": [], "seed": 0,
                "width": 0, "height": 0, "steps": 0,
                "error": f"This plot cannot be shown: {file} is damaged, {problem}. Its pictures are in that folder."}
    return {**plot, "id": file.parent.name}


def _write(file: Path, facts: dict[str, Any]) -> None:
    write_atomically(file, json.dumps(facts))
