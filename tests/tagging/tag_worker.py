"""What a worker that tags does, for processes forked from one that has imported it; the hub's client reads the
environment when it is imported, so that stays to the process itself."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

import onnxruntime  # noqa: F401

import lib_lora_train.cli.tag  # noqa: F401
from lib_lora_train.cli import run_command
from lib_lora_train.files.swap import SwapArea
from lib_lora_train.tagging.session import Tagger
from tests.forked import forked_after


def start(job_file: Path, environ: Mapping[str, str] | None = None, seconds_a_batch: float = 0,
          seconds_a_file: float = 0) -> BaseProcess:
    """A worker that carries the job out, with more variables than this process has, and slowed down."""
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **(environ or {})}
    worker = forked_after(__name__).Process(target=_tag, args=(job_file, variables, seconds_a_batch, seconds_a_file),
                                            daemon=True)
    worker.start()
    return worker


def _tag(job_file: Path, environ: Mapping[str, str], seconds_a_batch: float, seconds_a_file: float) -> None:
    assert "huggingface_hub" not in sys.modules
    with Path(os.devnull).open("ab") as nowhere:
        for number in (1, 2):
            os.dup2(nowhere.fileno(), number)
    os.environ.clear()
    os.environ.update(environ)
    if seconds_a_batch:
        _delay(Tagger, "confidences", seconds_a_batch)
    if seconds_a_file:
        _delay(SwapArea, "put_in_place", seconds_a_file)
    sys.exit(run_command(["tag", str(job_file)]))


def _delay(owner: type, name: str, seconds: float) -> None:
    call = getattr(owner, name)

    def slowly(*arguments: object) -> object:
        time.sleep(seconds)
        return call(*arguments)

    setattr(owner, name, slowly)
