"""A webui in a process of its own that lends its model, and runs in this one that train on it."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lib_lora_train.environment.isolation import WorkerPathFinder
from lib_lora_train.runs.events import read_events
from lib_lora_train.runs.folder import RunFolder, all_runs
from lib_lora_train.runs.process import remember_process
from tests.forked import forked_after
from tests.standin.webui import STANDIN, use_standin_modules
from tests.training.conftest import (  # noqa: F401  # fixtures
    Train,
    Trained,
    checkpoint,
    one_precision_a_process,
    pictures,
    train,
    values,
)

use_standin_modules()
for finder in sys.meta_path:
    if isinstance(finder, WorkerPathFinder):  # it finds the worker's own packages only
        finder.own_folders.append(str(STANDIN))

from tests.standin.lender import serve  # noqa: E402

from .gpu_webui import on_gpu  # noqa: E402, F401  # a fixture

SECONDS = 120
FORKED = forked_after("tests.standin.lender")


class Lender:
    """The stand-in webui of ``tests/standin/lender.py``."""

    def __init__(self, checkpoint: Path, *words: str) -> None:  # noqa: F811
        self._commands, theirs = FORKED.Pipe()
        self.process = FORKED.Process(target=serve, args=(theirs, str(checkpoint), *words))
        self.process.start()
        theirs.close()

    def __call__(self, command: str, *arguments: Any) -> Any:
        """Carry out ``command``; ``None`` if the process ended over it."""
        self._commands.send(json.dumps([command, *arguments]))
        try:
            return json.loads(self._commands.recv())
        except (EOFError, ConnectionError):
            return None

    def lends(self, way: str = "lent") -> Callable[[RunFolder], None]:
        """For ``train``'s ``before``: lend to the run, which this process is the worker of."""
        def lend(run: RunFolder) -> None:
            remember_process(run)
            ticket = self("lend", str(run.path))
            assert ticket["way"] == way, ticket["reason"]

        return lend

    def close(self) -> None:
        self.process.kill()
        self.process.join()
        self._commands.close()


@pytest.fixture
def start_webui() -> Iterator[Callable[..., Lender]]:
    """Starts a webui that has a checkpoint loaded; words are ``float16`` and ``unguarded``."""
    started: list[Lender] = []

    def start(file: Path, *words: str) -> Lender:
        started.append(Lender(file, *words))
        return started[-1]

    yield start
    for lender in started:
        lender.close()


class Watcher(threading.Thread):
    """Does something with the webui while a run goes on, then asks the run to stop."""

    def __init__(self, runs: Path, act: Callable[[Watcher], None]) -> None:
        super().__init__()
        self._runs, self._act = runs, act
        self.problem: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._act(self)
        except Exception as problem:  # noqa: BLE001  # told to the test's own thread
            self.problem = problem
        finally:
            for run in all_runs(self._runs):
                run.control.request("stop")

    def steps(self) -> int:
        """How many steps the run has made."""
        return sum(event["event"] == "step" for run in all_runs(self._runs) for event in
                   read_events(run.events_file)[0])

    def more_steps(self, count: int) -> None:
        """Wait until the run has made ``count`` more steps."""
        wanted, deadline = self.steps() + count, time.monotonic() + SECONDS
        while self.steps() < wanted:
            assert time.monotonic() < deadline, "the run stands still"
            time.sleep(0.01)

    def finish(self) -> None:
        """Wait for the end, and raise what went wrong."""
        self.join(SECONDS)
        if self.problem is not None:
            raise self.problem


def weights_of(trained: Trained) -> dict[str, Tensor]:
    """The tensors of the LoRA that a run has saved last."""
    return load_file(trained.of("saved")[-1]["path"])


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether both are the same, bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
