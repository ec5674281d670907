"""Standing still at a step boundary while the webui makes a picture with the weights that it lends."""

from __future__ import annotations

import time

import torch

from ..errors import RunError
from ..models.lent import LentWeights
from ..runs.folder import RunFolder
from ..runs.hold import Hold, HoldFile
from .reporting.report import Reporter

_POLL_SECONDS = 0.02
_LENDER_SECONDS = 1.0


class Boundary:
    """Where a run can be held: it is passed between steps and wherever else the base weights are not being read."""

    def __init__(self, run: RunFolder, reporter: Reporter) -> None:
        self._hold = HoldFile(run.path / "control")
        self._reporter = reporter
        self._lent: LentWeights | None = None
        self._lender_seen = 0.0

    def watch(self, lent: LentWeights) -> None:
        """From now on make sure at each hold that ``lent`` is as it was."""
        self._lent = lent

    def wait(self) -> bool:
        """Stand still for as long as the run is held; returns whether it was.

        Raises ``RunError`` if the lent weights came back changed, or are gone with the webui.
        """
        self._look_for_lender()
        hold = self._hold.asked()
        if hold is None:
            return False
        began = time.monotonic()
        _give_memory_back()
        self._stand_still(hold)
        self._reporter.event("went_on", {"seconds": round(time.monotonic() - began, 2)})
        self._refuse_what_was_altered()
        return True

    def _stand_still(self, hold: Hold) -> None:
        """Until nobody holds the run; a webui that died in the middle of a picture leaves its LoRA in the weights."""
        asked: Hold | None = hold
        told = ""
        while asked is not None:
            hold = asked
            if hold.token != told:
                self._reporter.event("held", {"token": hold.token})
                told = hold.token
            time.sleep(_POLL_SECONDS)
            asked = self._hold.asked()
        if self._lent is not None and not hold.holder.alive:
            self._lent.put_back()

    def _refuse_what_was_altered(self) -> None:
        altered = self._lent.altered() if self._lent is not None else []
        if altered:
            raise RunError(
                f"The webui gave back {len(altered)} of the weights that it lent changed, such as {altered[0]}; maybe "
                "another extension does that. No step was made on them. Let the run go on from its last state, with "
                "training.webui_model set to copy or file.")

    def _look_for_lender(self) -> None:
        """Memory of a GPU goes with the process that it belongs to; that of the CPU stays while it is mapped."""
        now = time.monotonic()
        if self._lent is None or self._lent.device.type == "cpu" or now - self._lender_seen < _LENDER_SECONDS:
            return
        self._lender_seen = now
        if not self._lent.lender.alive:
            raise RunError("The webui has ended, and with it the memory of the GPU that it lent to this run. The run "
                           "goes on from its last state when it is started again.")


def _give_memory_back() -> None:
    """Wait until nothing reads the weights any more, and hand the accelerator's unused memory back."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
