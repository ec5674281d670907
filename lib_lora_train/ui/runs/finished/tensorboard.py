"""TensorBoard over all runs, started on a click if it is installed, and ended with the webui."""

from __future__ import annotations

import importlib.util
import logging
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ....environment.pip_install import end, start_with_parent
from ....errors import RunError

MODULE = "tensorboard.main"
_HERE = "127.0.0.1"
_START_SECONDS = 60.0
_LONGEST_OUTPUT = 600


@dataclass(frozen=True)
class TensorBoardState:
    """``address`` is empty while it does not run; ``missing`` says how to get it, empty if it is installed."""

    address: str
    missing: str


class TensorBoard:
    """One TensorBoard for the runs in ``runs_dir``, reachable from this machine only."""

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        self._starting = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._address = ""

    def state(self) -> TensorBoardState:
        """Whether it runs, and whether it could."""
        running = self._process is not None and self._process.poll() is None
        return TensorBoardState(self._address if running else "", "" if _installed() else self._missing())

    def start(self) -> TensorBoardState:
        """Start it unless it runs, and wait until it answers. Raises ``RunError`` if it is missing or fails."""
        with self._starting:
            state = self.state()
            if state.address:
                return state
            if state.missing:
                raise RunError(state.missing)
            port = _free_port()
            self._process = start_with_parent(sys.executable, MODULE, [
                "--logdir", str(self._runs_dir), "--host", _HERE, "--port", str(port)])
            said: list[str] = []
            threading.Thread(target=_read, args=(self._process, said), daemon=True).start()
            self._wait_for(self._process, port, said)
            self._address = f"http://{_HERE}:{port}/"
            logging.getLogger(__name__).warning("Train LoRA: TensorBoard runs at %s", self._address)
            return self.state()

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            end(self._process)
            self._process = None

    def _wait_for(self, process: subprocess.Popen[str], port: int, said: list[str]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                socket.create_connection((_HERE, port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        end(process)
        output = "".join(said)[-_LONGEST_OUTPUT:].strip()
        raise RunError(f"TensorBoard did not start within {_START_SECONDS:.0f} s. {output}".strip())

    def _missing(self) -> str:
        return ("TensorBoard is not installed in the webui's Python, and nothing is installed for you. In another "
                f"Python environment, run: pip install tensorboard, then: tensorboard --logdir \"{self._runs_dir}\"")


def _installed() -> bool:
    return importlib.util.find_spec("tensorboard") is not None


def _read(process: subprocess.Popen[str], said: list[str]) -> None:
    """Empty the pipe, which would block TensorBoard when full; only the end is kept."""
    try:
        for line in process.stdout or ():
            said.append(line)
            del said[:-20]
    except ValueError:  # the pipe was closed
        return


def _free_port() -> int:
    with socket.socket() as free:
        free.bind((_HERE, 0))
        return int(free.getsockname()[1])
