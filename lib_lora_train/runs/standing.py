"""The worker's side of holding: pauses at a boundary of its work while there are requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Protocol

from .control import STOP, RunControl
from .hold import USER, Hold

Leave = Callable[[], AbstractContextManager[Any]]
"""Leaves the GPU on entry, and returns to it on exit."""
_POLL_SECONDS, _PAUSED_POLL_SECONDS = 0.02, 0.1


class Report(Protocol):
    """The receiver of a worker's reports."""

    def event(self, event: str, fields: Mapping[str, Any] | None = None) -> None:
        """Append an event to the run's log."""
        ...

    def stood_still(self, seconds: float) -> None:
        """Report time spent on hold, which is excluded from rates and estimates."""
        ...


class Standing:
    """Answers hold requests: ``held`` when one is granted, ``resumed`` when it is withdrawn."""

    def __init__(self, control: RunControl, report: Report) -> None:
        self._control, self._report = control, report

    def wait(self, leave: Leave | None = None, before: Callable[[], None] = lambda: None) -> list[Hold]:
        """Hold while requested; returns the granted requests, in the order of granting.

        Requests for the GPU are granted only if it can be left with ``leave``, and end with a stop; the others last
        until they are withdrawn, since the weights may be written to meanwhile. ``before`` is called before the first
        grant.
        """
        if not self._asked(leave):
            return []
        began, granted, standing = time.monotonic(), list[Hold](), dict[str, tuple[Hold, float]]()
        before()
        with ExitStack() as away:
            left = False
            while asked := self._asked(leave):
                self._resume([entry for token, entry in standing.items() if token not in {one.token for one in asked}])
                if leave is not None and not left and any(hold.gives_gpu for hold in asked):
                    away.enter_context(leave())
                    left = True
                known, standing = standing, {}
                for hold in asked:
                    if hold.token not in known:
                        granted.append(hold)
                        self._report.event("held", {**_words(hold), "gave_gpu": left})
                    standing[hold.token] = known.get(hold.token, (hold, time.monotonic()))
                time.sleep(_PAUSED_POLL_SECONDS if all(hold.reason.who == USER for hold in asked) else _POLL_SECONDS)
        self._resume(list(standing.values()))
        self._report.stood_still(time.monotonic() - began)
        return granted

    def _asked(self, leave: Leave | None) -> list[Hold]:
        asked = self._control.holds.asked()
        if asked and (leave is None or self._control.asked(STOP)):
            asked = [hold for hold in asked if not hold.gives_gpu]
        return asked

    def _resume(self, over: Sequence[tuple[Hold, float]]) -> None:
        for hold, since in over:
            self._report.event("resumed", {**_words(hold), "seconds": round(time.monotonic() - since, 2)})


def _words(hold: Hold) -> dict[str, Any]:
    return {"who": hold.reason.who, "why": hold.reason.why, "token": hold.token}
