"""Reports progress: as events for observers of the run, and as a bar in the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from ...runs.events import EventWriter

_PROGRESS_EVERY_SECONDS = 0.5


class Reporter:
    """Writes events and drives the terminal's progress bar."""

    def __init__(self, events: EventWriter, *, terminal: bool = True, stream: TextIO | None = None) -> None:
        """``stream`` is where lines are written, standard output by default."""
        self._stream = stream
        self._events = events
        self._terminal = terminal
        self._bar: tqdm[Any] | None = None
        self._listeners: list[Callable[[str, Mapping[str, Any]], None]] = []
        self._phase_started = time.monotonic()
        self._last_progress = 0.0
        self.still_seconds = 0.0
        """How long the run has been held in total."""

    def event(self, event: str, fields: Mapping[str, Any] | None = None) -> None:
        """Append an event to the run's log."""
        self._events.write(event, fields)
        for listener in self._listeners:
            listener(event, fields or {})

    def listen(self, listener: Callable[[str, Mapping[str, Any]], None]) -> None:
        """Call ``listener`` for every later event, after it is in the log."""
        self._listeners.append(listener)

    def phase(self, name: str, text: str, total: int | None = None) -> None:
        """A new phase begins; ``total`` is its number of items, if known."""
        self._close_bar()
        self._phase_started, self._last_progress = time.monotonic(), 0.0
        self.event("phase", {"name": name, "text": text})
        if not self._terminal:
            return
        if total is None:
            tqdm.write(text, file=self._stream)
        else:
            self._bar = tqdm(total=total, desc=text, dynamic_ncols=True, smoothing=0.1)

    def progress(self, done: int, total: int) -> None:
        """``done`` of ``total`` in this phase; written at most twice a second, and always at the end."""
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
        now = time.monotonic()
        if done < total and now - self._last_progress < _PROGRESS_EVERY_SECONDS:
            return
        self._last_progress = now
        left = (now - self._phase_started) / done * (total - done) if done else None
        self.event("progress", {"done": done, "total": total, "seconds_left": left})

    def stood_still(self, seconds: float) -> None:
        """The run was held for ``seconds``, which are excluded from rates and estimates."""
        self.still_seconds += seconds
        self._phase_started += seconds
        if self._bar is not None:
            self._bar.unpause()

    def step(self, fields: Mapping[str, Any]) -> None:
        """One training step is done; ``fields`` are those of the ``step`` event."""
        self.event("step", fields)
        if self._bar is not None:
            self._bar.set_postfix(loss=f"{fields['loss']:.4f}", epoch=fields["epoch"], refresh=False)
            self._bar.update(1)

    def say(self, text: str) -> None:
        """A line in the terminal and the log."""
        if self._terminal:
            tqdm.write(text, file=self._stream)

    def warning(self, text: str) -> None:
        """A warning for the user; the run continues."""
        self.event("warning", {"text": text})
        self.say(f"Warning: {text}")

    def saved(self, path: Path, *, step: int, epoch: int, final: bool) -> None:
        """A LoRA file is complete on disk."""
        self.event("saved", {"path": path, "name": path.stem, "step": step, "epoch": epoch, "final": final})
        self.say(f"Saved {path}")

    def close(self) -> None:
        """Remove the bar."""
        self._close_bar()

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
