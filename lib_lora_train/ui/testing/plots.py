"""Plots that were asked for in the tab: drawn by the webui in their turn, kept in the folder of their run."""

from __future__ import annotations

import contextlib
import json
import statistics
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageStat

from ...errors import RunError, WriteError
from ...files.atomic import write_atomically
from ...files.writing import writing
from ...host.interface import PlotDrawer, PlotPlan
from ...runs.folder import RunFolder
from ...runs.hold import PLOT
from ..drawing import DRAWING, DrawingService
from ..pictures import keep_picture
from .pace import earlier_pace, pace_of
from .plot_files import PLOT_FILE, PLOTS, read_plot
from .plot_plans import PlotRequest, plan_of


class PlotDesk:
    """Hands plots to the drawing service, and keeps what comes back."""

    def __init__(self, drawings: DrawingService) -> None:
        self._drawings = drawings
        self._lock = threading.Lock()
        self._open: list[_Plot] = []
        self._unkept: dict[str, dict[str, Any]] = {}
        self._paces: dict[str, dict[str, float] | None] = {}

    @property
    def samplers(self) -> list[str]:
        """The samplers that can be chosen; none where plots cannot be drawn."""
        drawer = self._drawings.new_drawer()
        return drawer.samplers() if drawer else []

    def start(self, run: RunFolder, request: PlotRequest, checkpoint: str) -> dict[str, Any]:
        """Draw a plot with the webui's ``checkpoint`` when its turn comes; the plot as it is kept.

        Raises ``RunError`` if that cannot be done.
        """
        if self._drawings.new_drawer() is None:
            raise RunError("Only AUTOMATIC1111's webui can generate plots from this tab.")
        plan, columns, rows = plan_of(request)
        plot = _Plot(run, plan, {
            "kind": request.kind, "columns": columns.as_dict(), "rows": rows.as_dict(),
            "file": [file for file in request.files if file != "None"][-1], "prompts": request.prompts,
            "seed": plan.picture.seed, "width": plan.picture.width, "height": plan.picture.height,
            "steps": plan.picture.steps, "checkpoint": checkpoint}, self._ended)
        plot.keep()
        with self._lock:
            self._open.append(plot)
        self._drawings.submit(plot)
        return plot.facts

    def _ended(self, plot: _Plot) -> None:
        with self._lock:
            self._open.remove(plot)
            measured = pace_of(plot.facts)
            if measured is not None:
                self._paces[plot.facts["checkpoint"]] = measured
            if plot.unkept:
                self._unkept[plot.facts["id"]] = plot.facts

    def pace(self, runs: Path, checkpoint: str) -> dict[str, float] | None:
        """Seconds, sampling steps and pixels of a picture, as last measured with ``checkpoint``; ``None`` if never."""
        if checkpoint not in self._paces:
            self._paces[checkpoint] = earlier_pace(runs, checkpoint)
        return self._paces[checkpoint]

    def now(self) -> dict[str, Any] | None:
        """The plot whose turn comes first: run, plot, and the share that is done; ``waiting`` while it is not drawn."""
        open_plots = list(self._open)
        facts = next(((plot, found) for plot in open_plots if (found := self._drawings.facts_of(plot))), None)
        if facts is None:
            return None
        plot, found = facts
        return {"run": plot.run, "plot": plot.facts["id"], "done": found["done"], "total": found["total"],
                "waiting": found["state"] != DRAWING and not found["done"], "share": found["share"]}

    def stop(self) -> None:
        """Leave out what is not drawn yet of the plot whose turn comes first."""
        first = self._open[:1]
        self._drawings.cancel(lambda drawing, _: drawing in first)

    def all_of(self, run: RunFolder) -> list[dict[str, Any]]:
        """Every plot of ``run``, the newest first."""
        drawn = {plot.facts["id"] for plot in list(self._open)}  # before the files, which say more once one has ended
        plots = [read_plot(file) for file in sorted(run.path.glob(f"{PLOTS}/*/{PLOT_FILE}"), reverse=True)]
        for plot in plots:
            if plot["state"] == "drawing" and plot["id"] not in drawn:
                plot["state"] = "lost"
        return [self._unkept.get(plot["id"], plot) for plot in plots]

    def mark(self, run: RunFolder, plot_id: str, column: int, row: int) -> dict[str, Any]:
        """Remember the best picture of a plot; the plot. Raises ``RunError`` if there is no such picture."""
        plot = next((plot for plot in self.all_of(run) if plot["id"] == plot_id), None)
        if plot is None or f"{column},{row}" not in plot["cells"]:
            raise RunError("There is no such image to mark.")
        plot["best"] = [column, row]
        if plot["state"] != "drawing":
            _write(run.path / PLOTS / plot_id / PLOT_FILE, plot)
        return plot


class _Plot:
    kind = PLOT

    def __init__(self, run: RunFolder, plan: PlotPlan, facts: dict[str, Any],
                 ended: Callable[[_Plot], None]) -> None:
        self.run, self._plan, self._ended = run.id, plan, ended
        self.title = f"Plot of {facts['file']}: {facts['kind']}"
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{facts['kind']}"
        self._folder = _new_folder(run.path / PLOTS, name)
        self.unkept = False
        """Whether not even its failure could be written."""
        self.facts = {"id": self._folder.name, "created": time.time(), "state": "drawing", "error": "", "cells": {},
                      "grid": "", "changes": {}, "best": None, **facts}
        self._reference: dict[int, Image.Image] = {}
        self._drawn: list[float] = []

    @property
    def total(self) -> int:
        return len(self.facts["columns"]["headings"]) * len(self.facts["rows"]["headings"])

    def add(self, column: int, row: int, picture: Image.Image) -> None:
        self._drawn.append(time.monotonic())
        if len(self._drawn) > 1:  # before the first the webui may have had something else to do
            self.facts["seconds_each"] = statistics.median(two - one for one, two in pairwise(self._drawn))
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

    @property
    def done(self) -> int:
        return len(self.facts["cells"])

    def draw(self, drawer: PlotDrawer, drawn: Callable[[], None]) -> bool:
        def cell(column: int, row: int, picture: Image.Image) -> None:
            self.add(column, row, picture)
            drawn()

        grid = drawer.draw(self._plan, cell)
        if grid is not None:
            keep_picture(self._folder / "grid.png", grid)
            self.facts["grid"] = f"{PLOTS}/{self._folder.name}/grid.png"
        return False

    def end(self, problem: str, *, cancelled: bool) -> None:
        try:
            if not problem and not cancelled and self.done < self.total:
                problem = (f"The webui left out {self.total - self.done} of {self.total} images; its console says "
                           "why.")
            if problem:
                self.fail(problem)
            else:
                self.finish("stopped" if cancelled and self.done < self.total else "finished")
        finally:
            self._ended(self)

    def finish(self, state: str) -> None:
        self.facts["state"] = state
        try:
            self.keep()
        except WriteError as problem:
            self.fail(str(problem))

    def fail(self, sentence: str) -> None:
        self.facts.update(state="failed", error=sentence)
        try:
            self.keep()
        except WriteError:  # the same disk; the desk knows it for as long as the webui runs
            self.unkept = True

    def keep(self) -> None:
        _write(self._folder / PLOT_FILE, self.facts)


def _new_folder(plots: Path, name: str) -> Path:
    for attempt in range(1, 1000):
        folder = plots / (name if attempt == 1 else f"{name}-{attempt}")
        with writing(folder), contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise RunError(f"There are too many plots named {name} in {plots}.")


def _write(file: Path, facts: dict[str, Any]) -> None:
    write_atomically(file, json.dumps(facts))
