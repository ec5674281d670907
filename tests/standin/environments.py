"""Worker environments for tests that are not about installing."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODULES = {"scripted": "tests.standin.worker", "real": "lib_lora_train"}
READY_WORKERS = "STANDIN_READY_WORKERS"
"""Names the socket of ``ready_worker.py``, if one is served."""


class ReadyEnvironment:
    """A Python that has all the worker needs, running the real worker or the scripted one of ``worker.py``."""

    def __init__(self, worker: str = "scripted", python: str = sys.executable,
                 variables: Mapping[str, str] | None = None) -> None:
        self._command = [python, "-m", MODULES[worker]]
        if worker == "scripted" and READY_WORKERS in os.environ:
            asked = Path(__file__).with_name("asked_worker.py")
            self._command = [python, "-I", "-S", str(asked), os.environ[READY_WORKERS]]
        self._variables = dict(variables or {})

    def state(self) -> dict[str, Any]:
        return {"state": "ready", "text": "The worker's packages are ready.", "lines": []}

    def install(self) -> None:
        pass

    def command(self, arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        return [*self._command, *arguments], {**os.environ, "PYTHONPATH": str(ROOT), **self._variables}
