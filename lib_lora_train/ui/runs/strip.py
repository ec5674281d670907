"""The thread that has the webui draw test strips: each saved file of a run, while the next one is trained."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from ...errors import TrainLoraError, WriteError
from ...host.interface import NOT_DRAWN_HERE, Host, PlotDrawer, SeriesPlan
from ...runs.folder import STRIP_FILE, RunFolder
from ...runs.hold import STRIP, Reason
from ...runs.summary import RunIndex
from ..pictures import keep_picture
from .strip_store import Cell, Strip, families_of, missing_cells, picture_path, read_strip, saved_files, write_strip

_LOOK_SECONDS = 3.0
"""How often it is looked whether what a strip waits for has come about: its run's turn, or its checkpoint."""
_STRETCH_SECONDS = 30.0
"""How long older files are drawn at a stretch while a run goes on; then it has as long for itself."""
_TRY_AGAIN_SECONDS = 30.0
_REASON = Reason(STRIP, "a picture of the test strip")
_INTERRUPTED = "The picture was interrupted in the webui, so the strip is drawn no further."


class StripDesk(threading.Thread):
    """Draws one picture at a time, that of the newest file first; all it knows is in the run folders."""

    def __init__(self, host: Host, index: RunIndex) -> None:
        super().__init__(name="train-lora-strip", daemon=True)
        self.index = index
        self._host = host
        self._wake, self._closing = threading.Event(), threading.Event()
        self._changing = threading.Lock()
        self._now: tuple[Cell, PlotDrawer] | None = None
        self._called_off: PlotDrawer | None = None
        self._waiting = False
        self._stretch = 0.0
        self._seconds: dict[str, float] = {}
        self._unkept: dict[str, Strip] = {}

    def wake(self) -> None:
        """Look whether there is something to draw, as after a file was saved."""
        self._wake.set()

    def close(self) -> None:
        """Draw no more."""
        self._closing.set()
        self._call_off(lambda cell: True)
        self._wake.set()

    @property
    def closing(self) -> bool:
        """Whether the thread was told to end."""
        return self._closing.is_set()

    def change(self, run: RunFolder, strip: Strip) -> None:
        """Draw the strip of ``run`` like this from now on."""
        with self._changing:
            write_strip(run, strip)
            self._unkept.pop(run.id, None)
            self._call_off(lambda cell: cell.run.id == run.id and (not strip.on or cell.strip.key != strip.key))
        self.wake()

    def run(self) -> None:
        """Draw whatever is missing, until closed."""
        while not self._closing.is_set():
            self._wake.clear()
            try:
                rest = self._draw_next()
            except Exception:  # such as a disk that is too full even for the reason; the next look may be luckier
                logging.getLogger(__name__).exception("Test strips cannot be drawn; it is tried again")
                rest = _TRY_AGAIN_SECONDS
            if rest != 0:
                self._wake.wait(rest)

    def _draw_next(self) -> float | None:
        """Draw the next picture; how long to rest after it, ``None`` for until there is news."""
        cell = self._next()
        if cell is None:
            return _LOOK_SECONDS if self._waiting else None
        taken = self._draw(cell)
        self._stretch = 0.0 if cell.newest else self._stretch + taken
        if self._stretch <= _STRETCH_SECONDS or not self.index.of(cell.run).alive:
            return 0.0
        rest, self._stretch = self._stretch, 0.0
        return rest

    def facts(self, run: RunFolder, strip: Strip | None) -> dict[str, Any]:
        """The ``strip`` of ``run`` as the page shows it; see ``routes_strip``."""
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
        if now is None or now[0].run.id != run.id:
            return None
        cell, drawer = now
        share = drawer.share_of_picture()
        return {"file": cell.file.stem if cell.file is not None else "", "index": cell.index, "share": share or 0.0,
                "waiting": share is None}

    def _waits_for(self, strip: Strip) -> str:
        """Why nothing is drawn though something is missing; empty if it is drawn."""
        loaded = self._host.checkpoint()
        if loaded is not None and str(loaded.path) == strip.checkpoint:
            return ""
        return (f"The strip is drawn with {Path(strip.checkpoint).name}, and the webui has "
                f"{loaded.path.name if loaded is not None else 'no checkpoint'} loaded. It continues "
                "when that checkpoint is loaded again.")

    def _next(self) -> Cell | None:
        """The picture to draw now: of a run that goes on before others, of a new run before old ones."""
        found, self._waiting = [], False
        for file in sorted(self.index.runs.glob(f"*/{STRIP_FILE}"), reverse=True):
            run = RunFolder(file.parent)
            strip = self._known(run, read_strip(run))
            if strip is None or not strip.on or strip.error:
                continue
            summary = self.index.of(run)
            cells = missing_cells(run, strip, saved_files(summary.saved))
            if cells and (summary.state == "waiting" or self._waits_for(strip)):
                self._waiting = True
            elif cells:
                found.append((not summary.alive, cells[0]))
        return min(found, key=lambda item: item[0])[1] if found else None

    def _draw(self, cell: Cell) -> float:
        """Have ``cell`` drawn; what goes wrong is kept with the strip. Returns the seconds that it took."""
        began = time.monotonic()
        drawer = self._host.plot_drawer()
        if drawer is None:
            self._fail(cell, NOT_DRAWN_HERE)
            return 0.0
        prompt, settings = cell.plan(families_of(self.index.of(cell.run).saved))
        with self._changing:
            if read_strip(cell.run) != cell.strip:
                return 0.0  # it was changed since the picture was chosen
            self._now = cell, drawer
        drawn: list[Image.Image] = []
        try:
            drawer.draw_series(SeriesPlan((prompt,), settings, True, _REASON),
                               lambda _, picture: drawn.append(picture))
            if drawn:
                self._keep(cell, drawn[0])
                taken = time.monotonic() - began
                self._seconds[cell.strip.key] = (taken + self._seconds.get(cell.strip.key, taken)) / 2
            elif self._called_off is not drawer:
                self._fail(cell, _INTERRUPTED)
        except TrainLoraError as problem:
            self._fail(cell, str(problem))
        except Exception as problem:  # the webui's own, or a full disk: it is shown where the pictures would be
            logging.getLogger(__name__).exception("A picture of the strip of %s could not be drawn", cell.run.id)
            self._fail(cell, f"The webui could not draw it: {type(problem).__name__}: {problem}. Its console says "
                             "more.")
        finally:
            with self._changing:
                self._now = None
        return time.monotonic() - began

    def _keep(self, cell: Cell, picture: Image.Image) -> None:
        keep_picture(cell.path, picture)
        if cell.file is not None and cell.index == 0 and not cell.file.with_suffix(".png").exists():
            keep_picture(cell.file.with_suffix(".png"), picture)  # what the webui shows on the LoRA's card

    def _fail(self, cell: Cell, sentence: str) -> None:
        """Draw no more of this strip until the user says so, unless it has been changed meanwhile."""
        with self._changing:
            if read_strip(cell.run) == cell.strip:
                failed = dataclasses.replace(cell.strip, error=sentence)
                try:
                    write_strip(cell.run, failed)
                except WriteError:  # the same disk; it is known for as long as the webui runs
                    self._unkept[cell.run.id] = failed

    def _known(self, run: RunFolder, strip: Strip | None) -> Strip | None:
        """``strip``, with the error that could not even be written."""
        failed = self._unkept.get(run.id)
        return failed if failed is not None and strip == dataclasses.replace(failed, error="") else strip

    def _call_off(self, concerns: Callable[[Cell], bool]) -> None:
        now = self._now
        if now is not None and concerns(now[0]):
            self._called_off = now[1]
            now[1].stop()
