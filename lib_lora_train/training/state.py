"""The state a run goes on from: network, optimizer, schedule, scaler, and where it stands.

Random numbers follow from the seed and the place in the run (``randomness``), so none have to be kept.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..config.job import Job
from ..config.load import job_to_dict
from ..errors import RunError
from ..runs.files import write_atomically
from .step import Learner

STATE_FILE = "last.pt"
# What decides which pictures, noise and weights a step sees; only the length of a run may change under way.
_MUST_STAY = ("base", "dataset", "network", "optimizer", "loss")


@dataclass(frozen=True)
class Progress:
    """Steps done in all; the epoch they end in (from 1), how many of its steps are done, and their summed loss.

    ``saved`` says that the epoch is over and what was due at its end is on disk.
    """

    step: int = 0
    epoch: int = 1
    steps_in_epoch: int = 0
    loss_sum: float = 0.0
    saved: bool = False


def save_state(folder: Path, learner: Learner, progress: Progress, job: Job) -> None:
    """Replace the state in ``folder``, whole or not at all. Raises ``RunError`` if it cannot be written."""
    scaler = learner.model.accelerator.scaler
    content = {
        "network": {name: value.detach().cpu() for name, value in learner.model.network.named_parameters()},
        "optimizer": learner.optimizer.state_dict(),
        "schedule": {"last_epoch": learner.schedule.last_epoch},
        "scaler": scaler.state_dict() if scaler is not None else None,
        "progress": asdict(progress),
        "job": _what_must_stay(job),
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    try:
        folder.mkdir(exist_ok=True)
        write_atomically(folder / STATE_FILE, buffer.getvalue())
    except OSError as problem:
        raise RunError(f"The state of the run cannot be kept in {folder}: {problem.strerror or problem}. Free some "
                       "space; the LoRA files saved so far are complete.") from problem


def load_state(folder: Path, learner: Learner, job: Job) -> Progress | None:
    """Bring ``learner`` to the state in ``folder``; ``None`` if there is none.

    Raises ``RunError`` if the file is damaged or belongs to other settings.
    """
    path = folder / STATE_FILE
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as problem:
        raise RunError(f"The state {path} is damaged: {problem}. Delete it to begin this run anew.") from problem
    changed = [group for group, values in _what_must_stay(job).items() if content["job"].get(group) != values]
    if changed:
        raise RunError(f"The settings in {', '.join(changed)} are not those that the run began with, so it cannot go "
                       "on exactly. Put them back, or start a new run.")
    network = dict(learner.model.network.named_parameters())
    with torch.no_grad():
        for name, value in content["network"].items():
            network[name].copy_(value)
    learner.optimizer.load_state_dict(content["optimizer"])
    _put_schedule(learner, int(content["schedule"]["last_epoch"]))
    if content["scaler"] is not None and learner.model.accelerator.scaler is not None:
        learner.model.accelerator.scaler.load_state_dict(content["scaler"])
    return Progress(**content["progress"])


def _put_schedule(learner: Learner, step: int) -> None:
    """Let the schedule stand at ``step``; its rates are in the optimizer's state already."""
    learner.schedule.last_epoch = step
    learner.schedule._step_count = step + 1  # else PyTorch warns that the optimizer was never stepped
    learner.schedule._last_lr = [group["lr"] for group in learner.optimizer.param_groups]


def _what_must_stay(job: Job) -> dict[str, Any]:
    values = job_to_dict(job)
    return {group: values[group] for group in _MUST_STAY} | {
        "training.seed": job.training.seed,
        "training.gradient_accumulation_steps": job.training.gradient_accumulation_steps}
