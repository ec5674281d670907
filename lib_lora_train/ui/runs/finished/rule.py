"""When the chosen action is due: the queue has been worked off, and nobody has cancelled the countdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .choices import NOTHING, ON_PAGE

COUNTDOWN_SECONDS = 120.0
LONGEST_GAP_SECONDS = 20.0
"""After a longer gap between two calls the computer was asleep, and the countdown starts again."""


WAITS, WORKS, ON_HOLD, DONE, STOPPED, FAILED = "waits", "works", "on hold", "done", "stopped", "failed"
OPEN = (WAITS, WORKS)
"""The states of tasks that still have to end. One on hold in the queue is not open: it may wait for days."""
_ENDED = (DONE, STOPPED, FAILED)
_MOST_NAMES = 3


@dataclass(frozen=True)
class Task:
    """A run: its id, its name and one of the states above."""

    id: str
    name: str
    state: str


@dataclass(frozen=True)
class Notice:
    """A message for every page; ``id`` grows. ``choice`` is what the pages have to carry out, empty for nothing."""

    id: int
    level: str
    text: str
    choice: str = ""


class FinishedRule:
    """The choice for one queue, and its countdown. ``now`` is in seconds of any steady clock.

    A failed run counts as ended: whoever sleeps cannot resume it, so the action is carried out and the message names
    it. The choice is off again after it was carried out or cancelled.
    """

    def __init__(self, first_notice: int = 0) -> None:
        """``first_notice`` is greater than any id that a page may have seen before."""
        self.choice = NOTHING
        self.notice: Notice | None = None
        self.waits_for: tuple[str, ...] = ()
        """What has to end first; empty before the first task."""
        self.words = ""
        """How the queue ended, as a sentence that names the runs that failed."""
        self._ends: float | None = None
        self._last: float | None = None
        self._known: frozenset[str] | None = None
        self._worked_on: set[str] = set()
        self._ended: dict[str, Task] = {}
        self._worked = False
        self._notices = first_notice

    @property
    def counting(self) -> bool:
        """Whether a countdown is running."""
        return self._ends is not None

    def seconds_left(self, now: float) -> float | None:
        """The rest of the countdown; ``None`` without one."""
        return None if self._ends is None else max(0.0, self._ends - now)

    def choose(self, choice: str) -> None:
        """Carry out ``choice`` when the queue of now, or the next one, is finished."""
        self.choice = choice
        self._reset()

    def cancel(self) -> None:
        """End the countdown and switch the choice off."""
        if self._ends is not None:
            self.say("info", "The countdown was cancelled. Nothing happens when the queue is finished.")
        self.choose(NOTHING)

    def look(self, tasks: Sequence[Task], images: Sequence[str], elsewhere: Callable[[], Sequence[str]],
             now: float) -> str | None:
        """Return the choice that is due now, else ``None``.

        ``tasks`` are all runs, ``images`` names what the webui still generates. ``elsewhere`` names trainings of other
        programs; it is slow, and only called when nothing else is open. Only runs that have ended, and images that were
        being generated when the choice was made, count as a queue that is finished: a run that was put on hold or
        withdrawn, and a later image, do not.
        """
        slept = self._last is not None and now - self._last > LONGEST_GAP_SECONDS
        self._last = now
        if self.choice == NOTHING:
            return None
        if self._known is None:
            self._known, self._worked = frozenset(task.id for task in tasks if task.state in _ENDED), bool(images)
        self._take(tasks)
        opened = tuple(task.name for task in tasks if task.state in OPEN)
        self.waits_for = (*opened, *images) if opened or self._worked else ()
        if not self.waits_for and self._worked and (not self.counting or now >= (self._ends or 0.0)):
            self.waits_for = tuple(elsewhere())
        if self.waits_for:
            self._interrupt()
            return None
        if not self._worked:
            return None
        self.words = self._end_of(tasks)
        if self.choice not in ON_PAGE and (self._ends is None or slept):
            self._ends = now + COUNTDOWN_SECONDS
        if self._ends is not None and now < self._ends:
            return None
        return self._due()

    def say(self, level: str, text: str, choice: str = "") -> None:
        """Show ``text`` on every page, and let the pages carry out ``choice``."""
        self._notices += 1
        self.notice = Notice(self._notices, level, text, choice)

    def _take(self, tasks: Sequence[Task]) -> None:
        """Note which runs have ended since the choice was made; one may begin and end between two looks."""
        for task in tasks:
            if task.state in OPEN:
                self._ended.pop(task.id, None)  # resumed
                self._known = (self._known or frozenset()) - {task.id}
            if task.state == WORKS:
                self._worked_on.add(task.id)
            withdrawn = task.state == STOPPED and task.id not in self._worked_on
            if task.state in _ENDED and task.id not in (self._known or ()) and not withdrawn:
                self._ended[task.id] = task
        self._worked = self._worked or bool(self._ended)

    def _interrupt(self) -> None:
        if self._ends is not None:
            self._ends = None
            self.say("info", f"{self.waits_for[0]} has begun, so the countdown stopped. It starts again afterwards.")

    def _due(self) -> str:
        due = self.choice
        failed = any(task.state == FAILED for task in self._ended.values())
        self.say("warning" if failed else "good", self.words, due if due in ON_PAGE else "")
        self.choose(NOTHING)
        return due

    def _end_of(self, tasks: Sequence[Task]) -> str:
        held = sum(task.state == ON_HOLD for task in tasks)
        rest = "" if not held else f" {held} {'run on hold stays' if held == 1 else 'runs on hold stay'} in the queue."
        failed = [task.name for task in self._ended.values() if task.state == FAILED]
        if failed:
            more = len(failed) - _MOST_NAMES
            names = " and ".join([*failed[:_MOST_NAMES], *([f"{more} more"] if more > 0 else [])])
            return f"The queue is finished, but {names} failed. Runs shows why.{rest}"
        if len(self._ended) != 1:
            return f"The queue is finished.{rest}"
        one = next(iter(self._ended.values()))
        return f"{one.name} {'was stopped' if one.state == STOPPED else 'is finished'}.{rest}"

    def _reset(self) -> None:
        self._ends, self._worked, self._known, self.waits_for = None, False, None, ()
        self._worked_on, self._ended = set(), {}
