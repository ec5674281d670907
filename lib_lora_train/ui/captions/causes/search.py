"""Searches for the training images nearest to a sample, in the background, since images are measured first."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Any

from ....captions.causes.lists import trained_entries
from ....captions.causes.nearest import Features, Near, nearest
from ....captions.causes.samples import WHOLE, Sample
from ....captions.editor.editor import CaptionEditor
from ....captions.tags import plain
from .. import answers
from ..background import in_background
from ..editors import Session

_MOST_KEPT = 8


class Search:
    """One search, running or finished."""

    def __init__(self, sample: Sample, editor: CaptionEditor) -> None:
        self._sample, self._editor = sample, editor
        self._began = time.monotonic()
        self.done = self.total = 0
        self.stopped = False
        self.problem = ""
        self.found: list[Near] | None = None
        in_background(self._run, self._failed)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.found is None and not self.problem

    def answer(self, session: Session) -> dict[str, Any]:
        """Progress and result for the page; images that are gone are left out."""
        entries = session.editor.index.entries
        near = [{"likeness": one.likeness, "kind": one.kind, "mirrored": one.mirrored,
                 "cell": answers.cell(entries[one.number])} for one in self.found or () if one.number in entries]
        state = "failed" if self.problem else "running" if self.running else "ready"
        return {"state": state, "done": self.done, "total": self.total, "seconds_left": self._seconds_left(),
                "problem": self.problem, "stopped": self.stopped, "nearest": near}

    def _seconds_left(self) -> float | None:
        if not self.done or not self.running:
            return None
        return round((time.monotonic() - self._began) / self.done * (self.total - self.done), 1)

    def _failed(self, problem: str) -> None:
        self.problem = problem

    def _run(self) -> None:
        editor = self._editor
        editor.refresh()
        with editor.lock:
            entries = trained_entries(editor.index)
        editor.facts.measure([entry.file for entry in entries], self._progress)
        confidences = editor.confidences()
        seen = {plain(tag): value for tag, value in self._sample.confidences(WHOLE).items()}
        known = [(entry.id, Features.of_marks(marks), confidences.of(entry.path)) for entry in entries
                 if (marks := editor.facts.marks(entry.file)) is not None and not marks.reason]
        self.found = nearest(self._sample.picture(), seen, known)

    def _progress(self, done: int, total: int) -> bool:
        self.done, self.total = done, total
        return not self.stopped


class Searches:
    """The searches of the last samples, by sample and folder. Thread-safe."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Search] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, sample: Sample, session: Session, begin: bool) -> Search:
        """The search for ``sample`` in the session's set; a new one if there is none, or to ``begin`` again."""
        key = sample.id, str(session.editor.folder)
        with self._lock:
            search = self._known.get(key)
            if search is None or (begin and not search.running):
                search = self._known[key] = Search(sample, session.editor)
            self._known.move_to_end(key)
            while len(self._known) > _MOST_KEPT:
                self._known.popitem(last=False)
            return search
