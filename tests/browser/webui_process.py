"""The stand-in webui as a process of its own, which can be killed and started again like the real one.

It is forked from a process that has gradio loaded and the page built already, which takes most of a start.
"""

from __future__ import annotations

import contextlib
import functools
import json
import multiprocessing
import multiprocessing.connection
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.standin.environments import READY_WORKERS

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 240
READY = multiprocessing.get_context("forkserver")
READY.set_forkserver_preload(["tests.standin.built", "tests.standin.ready_worker", "tests.browser.webui_process"])
_left_ports: list[int] = []
"""Of webuis that are closed: a browser has the page's modules from there in its cache, half of what a page costs."""


def serve(arguments: Sequence[str], variables: Mapping[str, str], log: Path) -> None:
    """``python -m tests.standin`` with ``arguments``, its output at the end of ``log``."""
    from tests.standin.__main__ import main
    from tests.standin.built import BUILT

    os.environ.clear()
    os.environ.update(variables)
    os.chdir(ROOT)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.argv = ["tests.standin", *arguments]
    main(BUILT)


@functools.cache
def ready_workers() -> str:
    """The address where scripted workers are forked, until the tests end."""
    address = multiprocessing.connection.arbitrary_address("AF_UNIX")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        READY.Process(target=serve_workers, args=(listening,), daemon=True).start()
    return address


def serve_workers(listening: socket.socket) -> None:
    """Fork scripted workers for those who ask."""
    from tests.standin import ready_worker

    ready_worker.serve_workers(listening)


class WebuiProcess:
    """A served stand-in webui. ``arguments`` are those of ``python -m tests.standin`` beside port and data."""

    def __init__(self, data: Path, arguments: Sequence[str] = (), variables: Mapping[str, str] | None = None) -> None:
        self.data = data
        self.port = free_port()
        self._arguments = list(arguments)
        self._variables = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", READY_WORKERS: ready_workers(),
                           **(variables or {})}
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
        _left_ports.append(self.port)

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
    """A port that a closed webui had, if nothing has taken it since; otherwise a new one."""
    while _left_ports:
        with socket.socket() as free, contextlib.suppress(OSError):
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", port := _left_ports.pop()))
            return port
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
