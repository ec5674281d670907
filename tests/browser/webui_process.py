"""The stand-in webui as a process of its own, which can be killed and started again like the real one.

It is forked from a process that has gradio loaded already, which takes most of a start.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import runpy
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 240
READY = multiprocessing.get_context("forkserver")
READY.set_forkserver_preload(["gradio", "tests.standin.webui"])


def serve(arguments: Sequence[str], variables: Mapping[str, str], log: Path) -> None:
    """``python -m tests.standin`` with ``arguments``, its output at the end of ``log``."""
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(ROOT)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.argv = ["tests.standin", *arguments]
    runpy.run_module("tests.standin", run_name="__main__")


class WebuiProcess:
    """A served stand-in webui. ``arguments`` are those of ``python -m tests.standin`` beside port and data."""

    def __init__(self, data: Path, arguments: Sequence[str] = (), variables: Mapping[str, str] | None = None) -> None:
        self.data = data
        self.port = free_port()
        self._arguments = list(arguments)
        self._variables = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", **(variables or {})}
        self._process: Any = None

    @property
    def pid(self) -> int:
        """The process's number; the webui has to be started."""
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def loras(self) -> Path:
        """The webui's LoRA folder."""
        return self.data / "models" / "Lora"

    def start(self) -> WebuiProcess:
        """Start it and wait until the tab's routes answer."""
        self.data.mkdir(parents=True, exist_ok=True)
        arguments = ["--port", str(self.port), "--data", str(self.data), *self._arguments]
        self._process = READY.Process(target=serve, args=(arguments, self._variables, self.data / "webui.log"))
        self._process.start()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.exitcode is not None:
                break
            try:
                self.get("schema")
                return self
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)
        raise AssertionError(f"The stand-in webui did not start:\n{(self.data / 'webui.log').read_text()[-3000:]}")

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def close(self) -> None:
        """Stop what is still training, then end it."""
        if self._process is None:
            self.start()
        for run in self.get("runs"):
            if run["state"] in ("waiting", "running", "paused", "held"):
                with contextlib.suppress(urllib.error.HTTPError):  # it may have ended since the list was read
                    self.post(f"runs/{run['id']}/control", {"action": "stop"})
        deadline = time.monotonic() + 120
        while any(run["alive"] for run in self.get("runs")) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.kill()

    def get(self, path: str) -> Any:
        """The JSON that ``/train-lora/<path>`` answers."""
        return self._ask(urllib.request.Request(f"{self.url}train-lora/{path}"))

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON that ``/train-lora/<path>`` answers to ``body``."""
        return self._ask(urllib.request.Request(
            f"{self.url}train-lora/{path}", json.dumps(body).encode(), method="POST",
            headers={"X-Train-Lora": "1", "Content-Type": "application/json"}))

    def _ask(self, request: urllib.request.Request) -> Any:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
