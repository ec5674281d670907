"""Scripted workers that are forked from a process that has imported them: 20 ms each, where a start takes 170."""

from __future__ import annotations

import os
import subprocess
import types
import unittest.mock
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from lib_lora_train.runs import process
from lib_lora_train.runs.folder import RunFolder
from tests.forked import forked_after
from tests.standin.environments import MODULES, ReadyEnvironment

_COMMAND = ReadyEnvironment().command([])[0]


def forked_workers() -> Any:
    """While it is open, ``start_worker`` forks the scripted worker; every other command is started as always."""
    return unittest.mock.patch.object(
        process, "subprocess", types.SimpleNamespace(**{**vars(subprocess), "Popen": _started}))


def _started(command: Sequence[str], *, env: Mapping[str, str], **options: Any) -> Any:
    if list(command[:len(_COMMAND)]) != _COMMAND:
        return subprocess.Popen(command, env=env, **options)
    made: BaseProcess = forked_after(MODULES["scripted"]).Process(
        target=_work, args=(Path(command[-1]), dict(env)), daemon=True)
    made.start()
    return made


def _work(job_file: Path, environ: Mapping[str, str]) -> None:
    from tests.standin.worker import main

    os.setsid()
    with RunFolder(job_file.parent).log_file.open("ab") as log:
        for number in (1, 2):
            os.dup2(log.fileno(), number)
    os.environ.clear()
    os.environ.update(environ)
    main(job_file)
