"""Pause and stop: files in ``control/`` whose presence is the request."""

from __future__ import annotations

from pathlib import Path

from ..files.writing import writing

ACTIONS = ("pause", "stop")


class RunControl:
    """The requests made of a run. The worker reads them at each step, anyone may set them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def request(self, action: str) -> None:
        """Ask for ``pause`` or ``stop``. Asking twice is the same as once. Raises ``WriteError``."""
        file = self._file(action)
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()

    def withdraw(self, action: str) -> None:
        """Take the request back; a paused run goes on."""
        with writing(self._file(action)):
            self._file(action).unlink(missing_ok=True)

    def asked(self, action: str) -> bool:
        """Whether ``pause`` or ``stop`` is being asked for now."""
        return self._file(action).exists()

    def _file(self, action: str) -> Path:
        if action not in ACTIONS:
            raise ValueError(f"{action!r} is no action; there are {', '.join(ACTIONS)}")
        return self._folder / action
