"""Runs in processes of their own, some of which kill themselves; kept apart so that a fork server can load it once."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import torch

from lib_lora_train.config.load import load_job
from lib_lora_train.models.tokenizer import Tokenizer
from lib_lora_train.runs.events import EventWriter
from lib_lora_train.runs.folder import RunFolder
from lib_lora_train.training import run as training_run
from lib_lora_train.training.reporting.report import Reporter

Tokenizer.load()  # reads the vocabulary once in the fork server, not in each run


class _Killing(Reporter):
    def __init__(self, events: EventWriter, kill_at: int | str | None) -> None:
        super().__init__(events, terminal=False)
        self._kill_at = kill_at

    def step(self, fields: Any) -> None:
        super().step(fields)
        if fields["step"] == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def event(self, event: str, fields: Any = None) -> None:
        super().event(event, fields)
        if event == "training_phase" and self._kill_at == f"phase {fields['number']}":
            os.kill(os.getpid(), signal.SIGKILL)


def carry_out(run_path: str, kill_at: int | str | None) -> None:
    """Train in ``run_path``, killed by SIGKILL right after step ``kill_at``, or as a phase begins: ``phase 2``."""
    torch.set_num_threads(1)
    run = RunFolder(Path(run_path))
    with EventWriter(run.events_file) as events:
        training_run.run_training(load_job(run.job_file), run, _Killing(events, kill_at))
