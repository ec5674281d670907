"""Progress reports of a tool, and stopping it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Stopped(Exception):
    """The user requested a stop; nothing was saved."""


class Reporter(Protocol):
    """Receives reports."""

    def phase(self, name: str, text: str, total: int | None = None) -> None:
        """A new phase begins; ``total`` is its number of items, if known."""
        ...

    def progress(self, done: int, total: int) -> None:
        """``done`` of ``total`` in this phase."""
        ...

    def warning(self, text: str) -> None:
        """A warning for the user."""
        ...

    def say(self, text: str) -> None:
        """A line in the terminal and the log."""
        ...


@dataclass(frozen=True)
class Work:
    """One use of a tool: the receiver of reports, the stop check, and the run's folder for intermediate results."""

    report: Reporter
    stopped: Callable[[], bool]
    result: Callable[[Mapping[str, Any]], None]
    folder: Path | None = None
    """The run's folder, ``None`` if there is none."""

    def step(self, done: int, total: int) -> None:
        """Report ``done`` of ``total`` layers. Raises ``Stopped`` if the user requested it."""
        if self.stopped():
            raise Stopped
        self.report.progress(done, total)
