"""The scripted worker, loaded once and forked for each run: see ``asked_worker.py``."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

from . import worker

_MOST_BYTES = 1 << 20


def serve_workers(listening: socket.socket) -> None:
    """Fork a worker for each that asks, with its arguments, environment and output."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a worker ended
    while True:
        asker, _ = listening.accept()
        data, output, _, _ = socket.recv_fds(asker, _MOST_BYTES, 2)
        while more := asker.recv(_MOST_BYTES):
            data += more
        if os.fork() == 0:
            _work(data, output)
        for descriptor in (*output, asker.detach()):
            os.close(descriptor)


def _work(data: bytes, output: list[int]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for stream, descriptor in zip((1, 2), output, strict=True):
        os.dup2(descriptor, stream)
    arguments, variables = json.loads(data)
    os.environ.clear()
    os.environ.update(variables)
    try:
        worker.main(Path(arguments[-1]))
    except BaseException:  # noqa: BLE001  # nothing of the server may go on here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
