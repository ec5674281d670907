"""Pauses a run between steps while the webui needs the GPU or its lent weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor

from ..errors import RunError
from ..models.lent import LentWeights
from ..runs.folder import RunFolder
from ..runs.standing import Leave, Standing
from .reporting.report import Reporter
from .step import Learner

_KEPT_SHARE = 0.1
"""Trained weights stay on the GPU during a hold if they take no larger share of its memory than this."""


class Boundary:
    """A point where a run can be held: between steps and wherever else the base weights are not being read.

    ``device`` is where the run computes. Off the GPU there is nothing to move, so requests are granted at every
    boundary; a run on the GPU leaves it only between steps.
    """

    def __init__(self, run: RunFolder, reporter: Reporter, device: torch.device) -> None:
        self._standing = Standing(run.control, reporter)
        self._on_cpu = device.type == "cpu"
        self._lent: LentWeights | None = None

    def watch(self, lent: LentWeights) -> None:
        """Verify after each later hold that ``lent`` is unchanged."""
        self._lent = lent

    def wait(self, leave: Leave | None = None) -> bool:
        """Pause while the run is held; returns whether it was. ``leave`` moves the run off the GPU.

        Raises ``RunError`` if the lent weights came back changed.
        """
        granted = self._standing.wait(leave or (nullcontext if self._on_cpu else None), _give_memory_back)
        if not granted:
            return False
        if self._lent is not None and not self._lent.uploaded and any(hold.orphaned for hold in granted):
            self._lent.put_back()  # a webui that died while generating leaves its LoRA in the weights
        self._refuse_what_was_altered()
        return True

    def _refuse_what_was_altered(self) -> None:
        altered = self._lent.altered() if self._lent is not None else []
        if altered:
            raise RunError(
                f"The webui gave back {len(altered)} of the weights that it lent changed, such as {altered[0]}; maybe "
                "another extension does that. No step was made on them. Resume the run from its last state, with "
                "training.webui_model set to copy or file.")


@contextmanager
def off_the_gpu(learner: Learner) -> Iterator[None]:
    """Free the GPU within the context.

    Moves the base off the GPU, as well as the network and the optimizer states unless these are small.
    """
    model = learner.model
    model.put_away()
    bring_back = (lambda: None) if _stays(learner) else _put_away_learned(learner)
    _give_memory_back()
    yield
    model.bring()
    bring_back()


def _stays(learner: Learner) -> bool:
    device = learner.model.device
    if device.type != "cuda":
        return True
    learned = sum(tensor.numel() * tensor.element_size() for tensor in
                  (*learner.model.network.parameters(), *(state[name] for state, name in _remembered(learner))))
    return learned <= _KEPT_SHARE * torch.cuda.get_device_properties(device).total_memory


def _put_away_learned(learner: Learner) -> Callable[[], None]:
    """Move trained weights and optimizer states to main memory; returns a function that moves them back."""
    remembered = list(_remembered(learner))
    learner.model.network.to("cpu")
    for state, name in remembered:
        state[name] = state[name].to("cpu")

    def bring_back() -> None:
        learner.model.network.to(learner.model.device)
        for state, name in remembered:
            state[name] = state[name].to(learner.model.device)

    return bring_back


def _remembered(learner: Learner) -> Iterator[tuple[dict[str, Tensor], str]]:
    """The optimizer states on the run's device: the state of each parameter and the name in it."""
    for state in learner.optimizer.state.values():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.device == learner.model.device:
                yield state, name


def _give_memory_back() -> None:
    """Wait until the weights are no longer being read, and release the accelerator's cached memory."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
