"""Requests to a run: pause, stop, and holds made by others."""

from __future__ import annotations

from pathlib import Path

from ..files.writing import writing
from .hold import USER, HoldRequests, Reason

PAUSE, STOP = "pause", "stop"
ACTIONS = (PAUSE, STOP)


class RunControl:
    """The requests to a run. Anyone may make them; the worker reads them at each step.

    A pause is the user's hold request, a stop is the file ``stop``. Earlier versions also wrote a file ``pause``;
    their workers, if still alive, can be resumed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.holds = HoldRequests(folder)

    def request(self, action: str) -> None:
        """Request ``pause`` or ``stop``; repeating a request changes nothing. Raises ``WriteError``."""
        file = self._file(action)
        if action == PAUSE:
            if not self.holds.of_user():
                self.holds.ask(Reason(USER, "you"), gives_gpu=True, lasting=True)
            return
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()

    def withdraw(self, action: str) -> None:
        """Withdraw the request; a paused run resumes. Raises ``WriteError``."""
        if action == PAUSE:
            for hold in self.holds.of_user():
                self.holds.withdraw(hold)
        with writing(self._file(action)):
            self._file(action).unlink(missing_ok=True)

    def asked(self, action: str) -> bool:
        """Whether ``pause`` or ``stop`` is currently requested."""
        return self._file(action).exists() or (action == PAUSE and bool(self.holds.of_user()))

    def _file(self, action: str) -> Path:
        if action not in ACTIONS:
            raise ValueError(f"{action!r} is not an action; there are {', '.join(ACTIONS)}")
        return self._folder / action
