"""Grids: the same prompts and seed with the LoRA of each of several runs, each on the base that it was trained on."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import BaseModel

from ....config.sample_prompt import read_prompt
from ....errors import RunError, TrainLoraError
from ....host.interface import FOR_A_PLOT, NOT_DRAWN_HERE, Host, PlotDrawer, SeriesPlan
from ....runs.folder import RunFolder, open_run
from ....runs.job import settings_of
from ....runs.state import AT_WORK, WAITING
from ....runs.summary import RunIndex, RunSummary
from ...drawing import DRAWING, DrawingService
from ...testing.plot_files import GRIDS, PLOT_FILE, read_plot
from ...testing.plots import DrawnPlot
from ..prompts import lines_of, prompts_of, with_trigger
from ..strip_settings import Txt2img, picture_settings
from ..strip_store import Cell, Strip, families_of, read_strip, saved_files

_KIND = "runs"
_POLL_SECONDS = 5.0
"""Polling interval while runs of a group with a grid are at work or queued."""
_MOST_PROMPTS = 20


class GridRequest(BaseModel):
    """``prompts`` to generate with the last file of each of ``runs``, with the settings of ``txt2img``."""

    runs: list[str]
    prompts: list[str]
    txt2img: Txt2img | None = None


@dataclass(frozen=True)
class Column:
    """One column: a run's file, or none, on the ``checkpoint`` (a title in the webui) that it was trained on."""

    heading: str
    run: RunFolder
    file: Path | None
    checkpoint: str
    strip: Strip
    families: tuple[str, ...]

    def plan(self, row: int) -> SeriesPlan:
        """Return the image of a prompt."""
        prompt, picture = Cell(self.run, self.strip, self.file, row, Path(), newest=False).plan(self.families)
        return SeriesPlan((prompt,), picture, True, FOR_A_PLOT, self.checkpoint)


class GridDesk:
    """Generates grids, on request and for groups whose runs have all ended."""

    def __init__(self, host: Host, index: RunIndex, drawings: DrawingService) -> None:
        self._host, self._index, self._drawings = host, index, drawings
        self._lock = threading.Lock()
        self._open: list[DrawnPlot] = []
        self._given_up: set[str] = set()
        drawings.draw_between(self)

    def start(self, request: GridRequest) -> dict[str, Any]:
        """Queue a grid and return it as stored. Raises ``RunError`` if it cannot be generated."""
        if self._host.plot_drawer() is None:
            raise RunError(NOT_DRAWN_HERE)
        self._host.refresh_loras()
        grid = self._made([open_run(self._index.runs, run) for run in request.runs], request.prompts, request.txt2img)
        self._drawings.submit(grid)
        return grid.facts

    def next_drawing(self) -> tuple[DrawnPlot | None, float | None]:
        """See ``Background``: the grid of the next group that has ended without one."""
        waiting, groups = False, dict[str, list[RunSummary]]()
        for run in self._index.all():
            if run.group is not None and run.group.grid and run.group.id not in self._given_up:
                groups.setdefault(run.group.id, []).append(run)
        for group, runs in groups.items():
            if any((self._index.runs / run.id / GRIDS).exists() for run in runs):
                continue
            if any(run.state in (*AT_WORK, WAITING) for run in runs):
                waiting = True
                continue
            self._given_up.add(group)
            self._host.refresh_loras()
            try:
                ordered = sorted(runs, key=lambda run: run.group.position if run.group else 0)
                folders = [RunFolder(self._index.runs / run.id) for run in ordered]
                if self._host.plot_drawer() is not None:
                    return self._made(folders, prompts_of(folders[0]), None), 0.0
            except (TrainLoraError, OSError):
                continue  # no run has saved a file, or one is damaged: the page says so, and offers the grid
        return None, _POLL_SECONDS if waiting else None

    def all_of(self, runs: Sequence[RunFolder]) -> list[dict[str, Any]]:
        """Return the grids of which every run is among ``runs``, newest first."""
        drawn, chosen = {plot.facts["id"] for plot in list(self._open)}, {run.id for run in runs}
        grids = [(run, read_plot(file)) for run in runs for file in run.path.glob(f"{GRIDS}/*/{PLOT_FILE}")]
        found = []
        for run, grid in grids:
            if grid["state"] == "drawing" and grid["id"] not in drawn:
                grid["state"] = "lost"
            of = grid.get("runs")
            if not grid["kind"] or (isinstance(of, list) and chosen.issuperset(map(str, of))):
                found.append({"seed": 0, "width": 0, "height": 0, "steps": 0, "best": None, "left_out": [],
                              **grid, "runs": of if isinstance(of, list) else [], "run": run.id})
        return sorted(found, key=lambda grid: grid["created"], reverse=True)

    def now(self) -> dict[str, Any] | None:
        """Return the progress of the current grid: its id, images done and total, and whether it waits."""
        for plot in list(self._open):
            facts = self._drawings.facts_of(plot)
            if facts is not None:
                return {"plot": plot.facts["id"], "done": facts["done"], "total": facts["total"],
                        "share": facts["share"], "waiting": facts["state"] != DRAWING and not facts["done"]}
        return None

    def stop(self) -> None:
        """Cancel the rest of the current grid."""
        first = self._open[:1]
        self._drawings.cancel(lambda drawing, _: drawing in first)

    def _made(self, runs: Sequence[RunFolder], prompts: Sequence[str], txt2img: Txt2img | None) -> RunsGrid:
        columns, left_out = self._columns(runs, prompts, txt2img)
        grid = RunsGrid(columns, left_out, [run.id for run in runs], self._ended)
        grid.keep()
        with self._lock:
            self._open.append(grid)
        return grid

    def _ended(self, plot: DrawnPlot) -> None:
        with self._lock:
            self._open.remove(plot)

    def _columns(self, runs: Sequence[RunFolder], prompts: Sequence[str],
                 txt2img: Txt2img | None) -> tuple[list[Column], list[str]]:
        """Return the columns, the first of each base without a LoRA, and why runs are left out."""
        lines = lines_of(prompts)[:_MOST_PROMPTS + 1]
        _check_prompts(lines)
        titles = {str(file.path): file.title for file in self._host.checkpoints()}
        columns, left_out, seed = list[Column](), list[str](), None
        for run in runs:
            summary = self._index.of(run)
            try:
                job, saved = settings_of(run), saved_files(summary.saved)
                if not saved:
                    raise RunError(f"{summary.name} has no saved file.")
                if job.base.checkpoint not in titles:
                    raise RunError(f"{summary.name} was trained on {Path(job.base.checkpoint).name}, which is not in "
                                   "the webui's list of checkpoints.")
            except TrainLoraError as problem:
                left_out.append(str(problem))
                continue
            own = read_strip(run) if txt2img is None else None
            picture = picture_settings(_without_size(txt2img), job) if own is None else own.picture
            seed = picture.seed if seed is None else seed
            prepared = tuple(lines_of(with_trigger(lines, job.dataset.activation_tag))) or ("",)
            strip = Strip(True, prepared, dataclasses.replace(picture, seed=seed), job.base.checkpoint)
            title, families = titles[job.base.checkpoint], tuple(families_of(saved))
            if all(column.checkpoint != title for column in columns):
                columns.append(Column("No LoRA", run, None, title, strip, families))
            heading = summary.group.value if summary.group is not None and summary.group.value else summary.name
            columns.append(Column(heading, run, Path(saved[-1]["path"]), title, strip, families))
        if not columns:
            raise RunError("There is nothing to generate. " + " ".join(left_out))
        return _named_apart(columns), left_out


class RunsGrid(DrawnPlot):
    """A grid: one column for each run. The webui's own checkpoint is loaded again at the end."""

    place = GRIDS

    def __init__(self, columns: Sequence[Column], left_out: Sequence[str], runs: Sequence[str],
                 ended: Callable[[DrawnPlot], None]) -> None:
        first = columns[0]
        prompts, picture = first.strip.prompts, first.strip.picture
        names = [column.file.stem if column.file is not None else "" for column in columns]
        super().__init__(first.run, None, {
            "kind": _KIND, "runs": list(runs), "left_out": list(left_out), "file": names[-1],
            "columns": {"title": "Run", "values": names, "headings": [column.heading for column in columns]},
            "rows": {"title": "Prompt", "values": list(prompts), "headings": list(prompts)},
            "prompts": list(prompts), "seed": picture.seed, "width": picture.width, "height": picture.height,
            "steps": picture.steps, "checkpoint": ", ".join(dict.fromkeys(one.checkpoint for one in columns))}, ended)
        self.title = f"Grid of {len(runs)} runs"
        self._columns = columns

    def draw(self, drawer: PlotDrawer, drawn: Callable[[], None]) -> bool:
        """See ``Drawing``: a single piece, so that each checkpoint is loaded once."""
        order = sorted(range(len(self._columns)), key=lambda number: next(
            place for place, column in enumerate(self._columns)
            if column.checkpoint == self._columns[number].checkpoint))
        try:
            for number in order:
                for row in range(len(self._columns[number].strip.prompts)):
                    if not self._draw_cell(drawer, number, row):
                        return False
                    drawn()
        finally:
            drawer.own_checkpoint()
        return False

    def _draw_cell(self, drawer: PlotDrawer, number: int, row: int) -> bool:
        pictures: list[Image.Image] = []
        drawer.draw_series(self._columns[number].plan(row), lambda _, picture: pictures.append(picture))
        for picture in pictures:
            self.add(number, row, picture)
        return bool(pictures)


def _check_prompts(lines: Sequence[str]) -> None:
    if not lines:
        raise RunError("Write at least one prompt.")
    if len(lines) > _MOST_PROMPTS:
        raise RunError(f"These are more than {_MOST_PROMPTS} prompts. Take fewer.")
    for line in lines:
        try:
            read_prompt(line)
        except ValueError as problem:
            raise RunError(f"The prompt {line[:200]!r} cannot be used: {problem}") from problem


def _without_size(txt2img: Txt2img | None) -> Txt2img | None:
    """Return the settings without width and height: each base is used at the size of its run."""
    return None if txt2img is None else txt2img.copy(update={"width": None, "height": None})


def _named_apart(columns: Sequence[Column]) -> list[Column]:
    """Return ``columns`` with the base in the heading of those without a LoRA, if there are several bases."""
    several = len({column.checkpoint for column in columns}) > 1
    return [dataclasses.replace(column, heading=f"No LoRA, {column.checkpoint}")
            if several and column.file is None else column for column in columns]
