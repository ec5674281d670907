"""The datasets open in the caption editor, and their background work."""

from __future__ import annotations

import hashlib
import logging
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ...captions.doctor.doctor import Report, examine
from ...captions.doubtful import Doubt
from ...captions.editor.editor import CaptionEditor
from ...captions.editor.history import EditChanges
from ...captions.tokens import TokenCounter
from ...config.groups.dataset import DatasetSettings
from ...errors import DatasetError, TrainLoraError
from .background import BACKGROUND, in_background
from .completions import TaggerTags
from .image_batch import ImageBatch

_MOST_OPEN = 4
_SETTLE_SECONDS = 4.0


class ReopenError(DatasetError):
    """The page refers to a session that has expired; its image numbers are no longer valid."""


@dataclass
class Examination:
    """A check by the doctor, running or finished."""

    done: int = 0
    total: int = 0
    report: Report | None = None
    problem: str = ""
    stopped: bool = False
    thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether the check is still running."""
        return self.thread is not None and self.thread.is_alive() and self.report is None and not self.problem


@dataclass
class Session:
    """One open dataset. The page gets ``id`` and sends it with every request.

    ``doubts`` are the doubtful tags last shown to the page, by key; ``changes`` are the changes of the history's edits,
    by number.
    """

    editor: CaptionEditor
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    sizes_ready: bool = False
    examination: Examination = field(default_factory=Examination)
    doubts: dict[str, Doubt] = field(default_factory=dict)
    changes: dict[int, EditChanges] = field(default_factory=dict)
    batch: ImageBatch = field(default_factory=ImageBatch)
    _timer: threading.Timer | None = None
    _reading: int = 0
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def read_sizes_soon(self) -> None:
        """Read the headers of images that are not known yet, in the background."""
        with self._counting:
            self.sizes_ready = all(entry.width for entry in list(self.editor.index.entries.values()))
            if self.sizes_ready:
                return
            self._reading += 1
            reading = self._reading
        _in_background(lambda: self._read_sizes(reading))

    def settle_soon(self) -> None:
        """Settle the journal once nothing has been edited for a few seconds."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(_SETTLE_SECONDS, lambda: _logged(self.editor.settle))
        self._timer.daemon, self._timer.name = True, BACKGROUND
        self._timer.start()

    def examine(self, settings: DatasetSettings, max_tokens: int) -> None:
        """Run the doctor in the background; one check at a time."""
        if self.examination.running:
            return
        examination = self.examination = Examination()

        def progress(done: int, total: int) -> bool:
            examination.done, examination.total = done, total
            return not examination.stopped

        def run_doctor() -> None:
            examination.report = examine(self.editor, settings, max_tokens, progress)

        def failed(problem: str) -> None:
            examination.problem = problem

        examination.thread = in_background(run_doctor, failed)

    def _read_sizes(self, reading: int) -> None:
        """Read them; an earlier ``reading`` that ends later knows nothing of images that were added since."""
        try:
            self.editor.read_sizes()
        finally:
            with self._counting:
                self.sizes_ready = self.sizes_ready or reading == self._reading


class CaptionEditors:
    """The most recently opened datasets. Thread-safe."""

    def __init__(self, cache: Path, taggers: Path) -> None:
        self.tagger_tags = TaggerTags(taggers)
        self._cache = cache
        self._lock = threading.Lock()
        self._opening: dict[Path, threading.Lock] = {}
        self._open: OrderedDict[Path, Session] = OrderedDict()
        self._tokens: TokenCounter | None = None

    def open(self, folder: Path, settings: DatasetSettings) -> Session:
        """Return the session of ``folder``, a new one if none reads captions the same way.

        Raises ``DatasetError`` if the folder cannot be read or written.
        """
        with self._lock:
            opening = self._opening.setdefault(folder, threading.Lock())
        with opening:
            with self._lock:
                known = self._open.get(folder)
            if known is not None and _reads_alike(known.editor.settings, settings):
                known.editor.settings = settings
                known.editor.refresh()
                session = known
            else:
                session = Session(CaptionEditor(folder, settings, self._facts_file(folder), self._counter()))
                session.settle_soon()
            session.read_sizes_soon()
            with self._lock:
                self._open[folder] = session
                self._open.move_to_end(folder)
                while len(self._open) > _MOST_OPEN:
                    self._open.popitem(last=False)
            return session

    def session(self, folder: Path, session: str) -> Session:
        """Return the open session with this id. Raises ``ReopenError`` if it has expired."""
        with self._lock:
            found = self._open.get(folder)
        if found is None or found.id != session:
            raise ReopenError("The webui was restarted. The dataset is being opened again.")
        return found

    def _facts_file(self, folder: Path) -> Path:
        name = hashlib.sha256(str(folder).encode("utf-8", "surrogateescape")).hexdigest()[:24]
        return self._cache / f"{name}.json"

    def _counter(self) -> TokenCounter:
        if self._tokens is None:
            self._tokens = TokenCounter.of_this_machine()
        return self._tokens


def _reads_alike(one: DatasetSettings, other: DatasetSettings) -> bool:
    return (one.caption_extension, one.caption_separator) == (other.caption_extension, other.caption_separator)


def _in_background(act: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=lambda: _logged(act), name=BACKGROUND, daemon=True)
    thread.start()
    return thread


def _logged(act: Callable[[], None]) -> None:
    """Log an error that nobody would catch in the background; the next edit or opening runs into it again."""
    try:
        act()
    except (TrainLoraError, OSError) as problem:
        logging.getLogger(__name__).warning("%s", problem)
