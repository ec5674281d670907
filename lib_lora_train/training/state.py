"""The training state for resuming: network, optimizer, schedule, scaler, and position.

Random numbers follow from the seed and the position in the run (``randomness``), so none are saved.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from ..config.job import Job
from ..config.load import job_to_dict
from ..errors import RunError
from ..files.atomic import remove_leftovers, write_whole
from ..files.confine import open_file
from ..files.json_file import DamagedFileError, number
from ..files.reading import reason
from ..files.writing import cannot_write
from ..models.pickled import DAMAGE
from ..runs.folder import STATE_FILE
from .optimizers.schedules import put_schedule
from .step import Learner

_NEXT, _BEFORE = "next.pt", "before.pt"
# Settings that affect which images, noise and weights a step uses; only a run's length and rates may change.
_MUST_STAY = ("base", "dataset", "network", "optimizer", "loss")
_MAY_CHANGE = {"optimizer": ("learning_rate", "unet_lr", "text_encoder_lr", "text_encoder_lr2")}


@dataclass(frozen=True)
class Progress:
    """Total steps; the current epoch (from 1), its completed steps, and their summed loss.

    ``saved``: the epoch is over and everything due at its end is on disk.
    """

    step: int = 0
    epoch: int = 1
    steps_in_epoch: int = 0
    loss_sum: float = 0.0
    saved: bool = False

    @property
    def next_epoch(self) -> int:
        """The epoch of the next step."""
        return self.epoch + 1 if self.saved else self.epoch


def save_state(folder: Path, learner: Learner, progress: Progress, job: Job, pictures: str, *,
               before_too: bool = False, phases: Sequence[dict[str, Any]] = ()) -> None:
    """Replace the state in ``folder`` atomically; with ``before_too`` the previous one is kept beside it.

    ``pictures`` is the fingerprint of the plan, ``phases`` are those begun after the first. Raises ``RunError`` if it
    cannot be written.
    """
    scaler = learner.model.accelerator.scaler
    content = {
        "network": {name: value.detach().cpu() for name, value in learner.model.network.named_parameters()},
        "optimizer": learner.optimizer.state_dict(),
        "scaler": scaler.state_dict() if scaler is not None else None,
        "progress": asdict(progress),
        "job": _what_must_stay(job),
        "pictures": pictures,
        **({"phases": list(phases)} if phases else {}),
    }
    try:
        folder.mkdir(exist_ok=True)
        remove_leftovers(folder / _NEXT)
        write_whole(folder / _NEXT, lambda file: _write(content, file), _bytes_of(content))
        if before_too and (folder / STATE_FILE).exists():
            (folder / STATE_FILE).replace(folder / _BEFORE)
        (folder / _NEXT).replace(folder / STATE_FILE)
    except OSError as problem:
        if not (folder / STATE_FILE).exists():
            with contextlib.suppress(OSError):  # load_state looks for the new one too
                (folder / _BEFORE).replace(folder / STATE_FILE)
        raise RunError(f"The training state was not saved. {cannot_write(folder / STATE_FILE, problem)} The LoRA files "
                       "and the training state saved before are complete.") from problem


class _Disk:
    """A file for ``torch.save``, whose own code must not be left by an error: the first one is kept for later."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.problem: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write ``data``, unless an earlier write failed."""
        if self.problem is None:
            try:
                self._file.write(data)
            except OSError as problem:
                self.problem = problem
        return len(data)

    def flush(self) -> None:
        """Nothing: the file is flushed after its last write."""


def _write(content: dict[str, Any], file: BinaryIO) -> None:
    """Write ``content`` without a copy of it in memory. Raises ``OSError``."""
    disk = _Disk(file)
    torch.save(content, disk)  # type: ignore[arg-type]
    if disk.problem is not None:
        raise disk.problem


def _bytes_of(content: Any) -> int:
    """The size of all tensors in ``content``."""
    if isinstance(content, Tensor):
        return content.numel() * content.element_size()
    return sum(map(_bytes_of, content.values())) if isinstance(content, dict) else 0


def load_state(folder: Path, learner: Learner, job: Job, schedule_begins: int, pictures: str,
               warn: Callable[[str], None], phases: Sequence[dict[str, Any]] = ()) -> Progress | None:
    """Restore ``learner`` from the state in ``folder``; ``None`` if there is none.

    The learning rates are those of ``job``, on a schedule that begins after step ``schedule_begins``. ``warn`` is
    called if ``pictures``, the fingerprint of the plan, has changed since. ``phases`` are all after the first. Raises
    ``RunError`` if the file is damaged or belongs to other settings.
    """
    path = folder / STATE_FILE
    if not path.exists() and (folder / _NEXT).exists():
        (folder / _NEXT).replace(path)  # killed between the two renames of save_state
    if not path.exists():
        return None
    content = _read(path)
    changed = _changed(content["job"], _what_must_stay(job))
    if content["phases"] != list(phases)[:len(content["phases"])]:
        changed.append("training.phases")
    if changed:
        raise RunError(f"{', '.join(changed)} {'is' if len(changed) == 1 else 'are'} not what the run started with, "
                       f"so it cannot be resumed exactly. Change that back, or start a new run.")
    if content.get("pictures", pictures) != pictures:
        warn("The images or captions have changed since the run started. It resumes from its last state with the "
             "current ones.")
    network = dict(learner.model.network.named_parameters())
    progress = Progress(**content["progress"])
    try:
        with torch.no_grad():
            for name, value in content["network"].items():
                network[name].copy_(value)
        learner.optimizer.load_state_dict(content["optimizer"])
        if content["scaler"] is not None and learner.model.accelerator.scaler is not None:
            learner.model.accelerator.scaler.load_state_dict(content["scaler"])
    except DAMAGE as problem:
        raise _damaged(path, problem) from problem
    put_schedule(learner.schedule, learner.optimizer, progress.step - schedule_begins)
    return progress


def epoch_reached(folder: Path) -> int:
    """The epoch that a run would resume in; 1 without a state. Raises ``RunError`` if the state is damaged."""
    path = folder / STATE_FILE
    return Progress(**_read(path)["progress"]).next_epoch if path.exists() else 1


def go_back_to_good_state(folder: Path, last_good_step: int) -> int | None:
    """Make the newest state not beyond ``last_good_step`` the one to resume from; returns its step.

    Without one all states are removed, and ``None`` is returned.
    """
    for name in (STATE_FILE, _BEFORE):
        path = folder / name
        if path.exists():
            step = int(_read(path)["progress"]["step"])
            if step <= last_good_step:
                path.replace(folder / STATE_FILE)
                return step
            path.unlink()
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        with open_file(path) as file:  # not a pipe, on which torch would block
            content = torch.load(file, map_location="cpu", weights_only=True)
        return _checked(content)
    except DAMAGE as problem:
        raise _damaged(path, problem) from problem


def _damaged(path: Path, problem: Exception) -> RunError:
    return RunError(f"The state {path} is damaged: {reason(problem)}. Delete it to restart this run from the "
                    f"beginning.")


def _checked(content: Any) -> dict[str, Any]:
    """``content`` if it is what ``save_state`` writes. Raises ``DamagedFileError``."""
    if not isinstance(content, dict):
        raise DamagedFileError("it holds no training state")
    for name in ("network", "optimizer", "progress", "job"):
        if not isinstance(content.get(name), dict):
            raise DamagedFileError(f"its {name} is missing")
    if not all(isinstance(value, Tensor) for value in content["network"].values()):
        raise DamagedFileError("its network holds something else than weights")
    if not isinstance(content.setdefault("phases", []), list):
        raise DamagedFileError("its phases are of another kind")
    if not isinstance(content.setdefault("scaler", None), (dict, type(None))):
        raise DamagedFileError("its scaler is of another kind")
    progress = content["progress"]
    for name in ("step", "epoch", "steps_in_epoch"):
        if not isinstance(number(progress, name), int) or progress[name] < 0:
            raise DamagedFileError(f"“{name}” is {progress[name]} where a count belongs")
    number(progress, "loss_sum")
    if set(progress) != {field.name for field in fields(Progress)} or not isinstance(progress["saved"], bool):
        raise DamagedFileError("its progress is of another kind")
    return content


def _changed(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """The settings that differ; settings added by a newer version count as unchanged."""
    changed = []
    for group, values in now.items():
        old = before.get(group)
        if isinstance(values, dict) and isinstance(old, dict):
            changed += [f"{group}.{name}" for name, value in values.items() if name in old and old[name] != value]
        elif old != values:
            changed.append(group)
    return changed


def _what_must_stay(job: Job) -> dict[str, Any]:
    values = job_to_dict(job)
    groups = {group: {name: value for name, value in values[group].items() if name not in _MAY_CHANGE.get(group, ())}
              for group in _MUST_STAY}
    return groups | {
        "training.seed": job.training.seed,
        "training.gradient_accumulation_steps": job.training.gradient_accumulation_steps}
