"""The state of the worker's environment for the tab, and its installation in the background."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from .. import environment
from ..errors import TrainLoraError, WorkerEnvironmentError
from ..files.writing import refused

_LINES_KEPT = 200


class InstalledEnvironment:
    """The packages that ``environment`` installs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._installing: threading.Thread | None = None
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)

    def state(self) -> dict[str, Any]:
        """Return the current state, with the messages of an installation in this process."""
        found = environment.check()
        installing = self._installing is not None and self._installing.is_alive()
        status = "installing" if installing and not found.ready else found.status
        text = self._lines[-1] if installing and self._lines else found.reason
        return {"state": status, "text": text, "lines": list(self._lines)}

    def install(self) -> None:
        """Start an installation or repair, unless one is running."""
        with self._lock:
            if self._installing is not None and self._installing.is_alive():
                return
            self._lines.clear()
            self._installing = threading.Thread(target=self._repair, name="train-lora-install", daemon=True)
            self._installing.start()

    def command(self, arguments: Sequence[str]) -> tuple[Sequence[str], Mapping[str, str]]:
        """Return the worker's command line and environment. Raises ``WorkerEnvironmentError`` if not ready."""
        found = environment.check()
        if not found.ready:
            raise WorkerEnvironmentError(found.reason)
        return environment.worker_command(arguments), environment.worker_environ()

    def _repair(self) -> None:
        try:
            environment.repair(self._lines.append)
        except TrainLoraError as problem:
            self._lines.append(str(problem))
        except OSError as problem:
            self._lines.append(refused(problem, environment.environment_root()) or repr(problem))
