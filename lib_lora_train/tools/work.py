"""What a tool says while it works, and how it is stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Stopped(Exception):
    """The user has asked to stop; nothing was saved."""


class Teller(Protocol):
    """Receives what happens."""

    def phase(self, name: str, text: str, total: int | None = None) -> None:
        """A new phase begins; ``total`` is the number of things it will do, if that is known."""
        ...

    def progress(self, done: int, total: int) -> None:
        """``done`` of ``total`` in this phase."""
        ...

    def warning(self, text: str) -> None:
        """Something the user should know of."""
        ...

    def say(self, text: str) -> None:
        """A line in the terminal and the log."""
        ...


@dataclass(frozen=True)
class Work:
    """One use of a tool: who receives reports, whether to stop, and where the result goes before anything is saved."""

    tell: Teller
    stopped: Callable[[], bool]
    result: Callable[[Mapping[str, Any]], None]
    folder: Path | None = None
    """The run's folder, ``None`` where there is none."""

    def step(self, done: int, total: int) -> None:
        """``done`` of ``total`` layers are done. Raises ``Stopped`` if the user has asked for that."""
        if self.stopped():
            raise Stopped
        self.tell.progress(done, total)
