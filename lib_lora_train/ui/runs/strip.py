"""Schedules the test strips that the webui generates: each saved file of a run, while training continues."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from ...errors import WriteError
from ...host.interface import Host, PlotDrawer, SeriesPlan
from ...runs.folder import STRIP_FILE, RunFolder, all_runs
from ...runs.hold import STRIP, Reason
from ...runs.summary import RunIndex
from ..drawing import DRAWING, DrawingService
from ..pictures import keep_picture
from .strip_store import Cell, Strip, families_of, missing_cells, picture_path, read_strip, saved_files, write_strip

_POLL_SECONDS = 3.0
"""Polling interval while a strip waits for its run or its checkpoint."""
_STRETCH_SECONDS = 30.0
"""Longest stretch of generating older files during a run; afterwards the run gets as much time for itself."""
_REASON = Reason(STRIP, "an image of the test strip")
_INTERRUPTED = "The image was interrupted in the webui, so the strip was stopped."


class StripDesk:
    """Background task source: one image at a time, newest file first. All state is in the run folders."""

    def __init__(self, host: Host, index: RunIndex, drawings: DrawingService) -> None:
        self.index = index
        self._host, self._drawings = host, drawings
        self._changing = threading.Lock()
        self._now: _Picture | None = None
        self._waiting = False
        self._stretch = 0.0
        self._rests_until = 0.0
        self._seconds: dict[str, float] = {}
        self._unkept: dict[str, Strip] = {}
        drawings.draw_between(self)

    def change(self, run: RunFolder, strip: Strip) -> None:
        """Change the strip of ``run``."""
        with self._changing:
            write_strip(run, strip)
            self._unkept.pop(run.id, None)
        now = self._now
        if now is not None and now.cell.run.id == run.id and (not strip.on or now.cell.strip.key != strip.key):
            now.called_off = True
            self._drawings.cancel(lambda drawing, _: drawing is now)
        self._drawings.wake()

    def next_drawing(self) -> tuple[_Picture | None, float | None]:
        """See ``Background``. During a run, images of older files pause after each stretch."""
        cell = self._next()
        if cell is None:
            return None, _POLL_SECONDS if self._waiting else None
        rest = self._rests_until - time.monotonic()
        if rest > 0 and not cell.newest and self.index.of(cell.run).alive:
            return None, rest
        self._now = _Picture(self, cell)
        return self._now, 0.0

    def facts(self, run: RunFolder, strip: Strip | None) -> dict[str, Any]:
        """Return the ``strip`` of ``run`` for the page; see ``strip_routes``."""
        strip = self._known(run, strip)
        if strip is None:
            return {"on": False, "prompts": [], "error": "", "columns": [], "missing": 0, "seconds_left": None,
                    "seconds_each": None, "drawing": None, "waits_for": ""}
        saved = saved_files(self.index.of(run).saved)
        missing = missing_cells(run, strip, saved) if strip.on else []
        seconds = self._seconds.get(strip.key)
        return {"on": strip.on, "prompts": list(strip.prompts), "error": strip.error,
                "columns": [self._column(run, strip, event) for event in [None, *saved]], "missing": len(missing),
                "seconds_left": seconds * len(missing) if seconds is not None and missing else None,
                "seconds_each": seconds, "drawing": self._drawing_of(run),
                "waits_for": self._waits_for(strip) if missing else ""}

    def _column(self, run: RunFolder, strip: Strip, event: dict[str, Any] | None) -> dict[str, Any]:
        path = Path(event["path"]) if event is not None else None
        files = [picture_path(run, strip, path, index) for index in range(len(strip.prompts))]
        place = {"step": 0, "epoch": 0, "final": False} if event is None else {
            "step": event["step"], "epoch": event["epoch"], "final": bool(event.get("final"))}
        return {"file": path.stem if path is not None else "", **place,
                "pictures": [file.relative_to(run.path).as_posix() if file.exists() else None for file in files]}

    def _drawing_of(self, run: RunFolder) -> dict[str, Any] | None:
        now = self._now
        facts = self._drawings.facts_of(now) if now is not None and now.cell.run.id == run.id else None
        if now is None or facts is None:
            return None
        file = now.cell.file
        return {"file": file.stem if file is not None else "", "index": now.cell.index,
                "share": facts["share"] if not facts["done"] else 1.0, "waiting": facts["state"] != DRAWING}

    def _waits_for(self, strip: Strip) -> str:
        """Why no image is generated although some are missing; empty if one is."""
        loaded = self._host.checkpoint()
        if loaded is not None and str(loaded.path) == strip.checkpoint:
            return ""
        return (f"The strip uses {Path(strip.checkpoint).name}, and the webui has "
                f"{loaded.path.name if loaded is not None else 'no checkpoint'} loaded. It continues "
                "when that checkpoint is loaded again.")

    def _next(self) -> Cell | None:
        """Return the next image: those of the current run first, then those of newer runs."""
        found, self._waiting = [], False
        for run in all_runs(self.index.runs):
            if not (run.path / STRIP_FILE).is_file():
                continue
            strip = self._known(run, read_strip(run))
            if strip is None or not strip.on or strip.error:
                continue
            summary = self.index.of(run)
            cells = missing_cells(run, strip, saved_files(summary.saved))
            begins = summary.alive and not summary.lora_name  # prompts may call files that the run will save
            if cells and (summary.state == "waiting" or begins or self._waits_for(strip)):
                self._waiting = True
            elif cells:
                found.append((not summary.alive, cells[0]))
        return min(found, key=lambda item: item[0])[1] if found else None

    def draw(self, cell: Cell, drawer: PlotDrawer) -> bool:
        """Generate the image of ``cell`` and store it; returns whether there is one, or none is needed."""
        if read_strip(cell.run) != cell.strip:
            return True  # the strip has changed since the image was chosen
        began = time.monotonic()
        summary = self.index.of(cell.run)
        prompt, settings = cell.plan([*families_of(summary.saved), summary.lora_name])
        drawn: list[Image.Image] = []
        drawer.draw_series(SeriesPlan((prompt,), settings, True, _REASON), lambda _, picture: drawn.append(picture))
        if drawn:
            self._keep(cell, drawn[0])
            taken = time.monotonic() - began
            self._seconds[cell.strip.key] = (taken + self._seconds.get(cell.strip.key, taken)) / 2
            self._count(cell, taken)
        return bool(drawn)

    def end(self, cell: Cell, problem: str, *, cancelled: bool) -> None:
        """Handle the end of ``cell``: a problem is stored with the strip; cancelling by the user turns it off."""
        if problem:
            self._fail(cell, problem)
        elif cancelled and not self._drawings.closing:
            with self._changing:
                if read_strip(cell.run) == cell.strip:
                    write_strip(cell.run, dataclasses.replace(cell.strip, on=False))

    def _count(self, cell: Cell, taken: float) -> None:
        self._stretch = 0.0 if cell.newest else self._stretch + taken
        if self._stretch > _STRETCH_SECONDS:
            self._rests_until, self._stretch = time.monotonic() + self._stretch, 0.0

    def _keep(self, cell: Cell, picture: Image.Image) -> None:
        keep_picture(cell.path, picture)
        if cell.file is not None and cell.index == 0 and not cell.file.with_suffix(".png").exists():
            keep_picture(cell.file.with_suffix(".png"), picture)  # the preview on the LoRA's card

    def _fail(self, cell: Cell, sentence: str) -> None:
        """Stop this strip until the user restarts it, unless it has been changed meanwhile."""
        with self._changing:
            if read_strip(cell.run) == cell.strip:
                failed = dataclasses.replace(cell.strip, error=sentence)
                try:
                    write_strip(cell.run, failed)
                except WriteError:  # same disk; kept in memory until the webui ends
                    self._unkept[cell.run.id] = failed

    def _known(self, run: RunFolder, strip: Strip | None) -> Strip | None:
        """Return ``strip`` with its error, if that could not be written."""
        failed = self._unkept.get(run.id)
        return failed if failed is not None and strip == dataclasses.replace(failed, error="") else strip


class _Picture:
    """The generation task of one image of a strip."""

    kind, total = STRIP, 1

    def __init__(self, desk: StripDesk, cell: Cell) -> None:
        self.cell, self._desk = cell, desk
        self.run = cell.run.id
        self.title = f"Test strip: {cell.file.stem if cell.file is not None else 'without the LoRA'}"
        self.done = 0
        self.called_off = False
        """Whether it was cancelled because its strip changed."""

    def draw(self, drawer: PlotDrawer, drawn: Callable[[], None]) -> bool:
        """See ``Drawing``: a single piece."""
        if self._desk.draw(self.cell, drawer):
            self.done = 1
            drawn()
        return False

    def end(self, problem: str, *, cancelled: bool) -> None:
        """See ``Drawing``. Without an image or a reason it was interrupted in the webui."""
        if not problem and not cancelled and not self.done:
            problem = _INTERRUPTED
        self._desk.end(self.cell, problem, cancelled=cancelled and not self.called_off)
