"""Standing still between steps, with the weights that the webui lends as they were before."""

from __future__ import annotations

import time
from contextlib import nullcontext

import torch

from ..errors import RunError
from ..models.lent import LentWeights
from ..runs.folder import RunFolder
from ..runs.standing import Leave, Standing
from .reporting.report import Reporter

_LENDER_SECONDS = 1.0


class Boundary:
    """Where a run can be held: it is passed between steps and wherever else the base weights are not being read.

    ``device`` is where the run computes. Off the GPU there is nothing to leave, so that every request is granted at
    every boundary; a run on the GPU leaves it between steps only.
    """

    def __init__(self, run: RunFolder, reporter: Reporter, device: torch.device) -> None:
        self._standing = Standing(run.control, reporter)
        self._on_cpu = device.type == "cpu"
        self._lent: LentWeights | None = None
        self._lender_seen = 0.0

    def watch(self, lent: LentWeights) -> None:
        """Verify after each hold from now on that ``lent`` is unchanged."""
        self._lent = lent

    def wait(self, leave: Leave | None = None) -> bool:
        """Stand still for as long as the run is held; returns whether it was. ``leave`` moves the run off the GPU.

        Raises ``RunError`` if the lent weights came back changed, or are gone with the webui.
        """
        self._look_for_lender()
        granted = self._standing.wait(leave or (nullcontext if self._on_cpu else None), _give_memory_back)
        if not granted:
            return False
        if self._lent is not None and any(hold.orphaned for hold in granted):
            self._lent.put_back()  # a webui that died in the middle of a picture leaves its LoRA in the weights
        self._refuse_what_was_altered()
        return True

    def _refuse_what_was_altered(self) -> None:
        altered = self._lent.altered() if self._lent is not None else []
        if altered:
            raise RunError(
                f"The webui gave back {len(altered)} of the weights that it lent changed, such as {altered[0]}; maybe "
                "another extension does that. No step was made on them. Resume the run from its last state, with "
                "training.webui_model set to copy or file.")

    def _look_for_lender(self) -> None:
        """Memory of a GPU goes with the process that it belongs to; that of the CPU stays while it is mapped."""
        now = time.monotonic()
        if self._lent is None or self._lent.device.type == "cpu" or now - self._lender_seen < _LENDER_SECONDS:
            return
        self._lender_seen = now
        if not self._lent.lender.alive:
            raise RunError("The webui has ended, and with it the memory of the GPU that it lent to this run. The run "
                           "continues from its last state when it is started again.")


def _give_memory_back() -> None:
    """Wait until nothing reads the weights, and hand the accelerator's unused memory back."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
