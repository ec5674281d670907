"""Protects weights that a worker reads from the webui's LoRAs.

Everything that takes the webui's lock, as every generation does, first makes the workers hold, and the weights are
restored before they continue. A LoRA applied without the lock, or a checkpoint that is loaded, gets its own memory.
The lock also tracks who has it or waits for it, so that a run on the webui's GPU can make room.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from ..errors import WriteError
from ..runs.events import ENDINGS, read_events
from ..runs.folder import RunFolder
from ..runs.hold import Hold, Reason
from ..runs.lend_ticket import HANDLES_FILE
from ..runs.process import live_pid
from .asking import reason_now

_ANSWER_SECONDS = 120.0
_POLL_SECONDS = 0.02
_ALIVE_EVERY_SECONDS = 0.5
_GUARD = "train_lora_guard"
_ORIGINAL = "train_lora_original"


class Layers(Protocol):
    """Lent layers, see ``LentLayers``."""

    def is_lent(self, layer: Any) -> bool:
        """Whether a change of ``layer`` would affect a lent tensor."""
        ...

    def note_change(self, layer: Any) -> None:
        """A LoRA was applied to ``layer``."""
        ...

    def restore(self) -> None:
        """Restore the base value of every lent tensor."""
        ...

    def take_own(self, module: Any) -> None:
        """Give ``module`` its own memory."""
        ...

    def take_everything(self) -> None:
        """Give the whole model its own memory."""
        ...

    def close(self) -> None:
        """The worker no longer needs the lent tensors."""
        ...


class Borrower:
    """A run that reads lent weights, and how to hold it.

    ``shares_work``: the webui generates with the lent tensors themselves, so that the run has to hold for each image.
    Otherwise it generates with copies on a GPU, and never writes to the lent tensors.
    """

    def __init__(self, run: RunFolder, layers: Layers, *, shares_work: bool = True) -> None:
        self.run = run
        self.layers = layers
        self.shares_work = shares_work
        self._hold: Hold | None = None

    def hold(self, reason: Reason) -> Callable[[], bool]:
        """Ask the run to hold; the returned function waits for that, and returns ``False`` if it did not happen."""
        offset = self.run.events_file.stat().st_size if self.run.events_file.exists() else 0
        self._hold = hold = self.run.control.holds.ask(reason, gives_gpu=False)
        return lambda: self._wait(hold, offset)

    def let_go(self) -> None:
        """Let the run resume."""
        hold, self._hold = self._hold, None
        if hold is not None:
            self.run.control.holds.withdraw(hold)

    def _wait(self, hold: Hold, offset: int) -> bool:
        deadline, next_check = time.monotonic() + _ANSWER_SECONDS, 0.0
        while time.monotonic() < deadline:
            if (self.run.path / HANDLES_FILE).exists():
                return True  # the worker has opened nothing yet, and checks for holds before it does
            events, offset = read_events(self.run.events_file, offset)
            if any(event.get("token") == hold.token or event["event"] in ENDINGS for event in events):
                return True
            if time.monotonic() > next_check:
                if live_pid(self.run) is None:
                    return True
                next_check = time.monotonic() + _ALIVE_EVERY_SECONDS
            time.sleep(_POLL_SECONDS)
        return False


class Guard:
    """The mediator between the webui and its borrowers. One per process, stored on the webui's lock."""

    def __init__(self) -> None:
        self._borrowers: list[Borrower] = []
        self._changing = threading.RLock()
        self._held = False
        self._users: list[Reason] = []
        self._listeners: list[Callable[[], None]] = []
        self._present: Reason | None = None

    def come(self, reason: Reason) -> None:
        """Record a request for the webui's lock, and call those who listen for one."""
        self._users.append(reason)
        for heard in self._listeners.copy():
            heard()

    def listen(self, heard: Callable[[], None]) -> Callable[[], None]:
        """Call ``heard``, which returns at once and never raises, at each request for the webui's lock.

        The returned function ends that.
        """
        self._listeners.append(heard)
        return lambda: self._listeners.remove(heard)

    def leave(self, reason: Reason | None) -> None:
        """Record that the request with ``reason`` has released the webui's lock, or did not get it."""
        if reason is not None:
            self._users.remove(reason)

    @property
    def wanted(self) -> Reason | None:
        """The reason for which the webui's lock is held or waited for; ``None`` if it is free."""
        users = self._users[:1]
        return users[0] if users else None

    def add(self, borrower: Borrower) -> None:
        """Guard the weights of ``borrower``; called with the webui's lock held."""
        with self._changing:
            self._borrowers.append(borrower)

    def remove(self, borrower: Borrower) -> None:
        """``borrower`` no longer reads the weights."""
        with self._changing:
            if borrower in self._borrowers:
                self._borrowers.remove(borrower)
        borrower.let_go()

    @property
    def idle(self) -> bool:
        """Whether nothing is lent."""
        return not self._borrowers

    def begin(self, reason: Reason) -> None:
        """The webui's lock was taken for ``reason``: hold every borrower. Never raises."""
        self._present = reason
        borrowers = [borrower for borrower in self._borrowers if borrower.shares_work]
        if not borrowers:
            return
        try:
            waits = [(borrower, borrower.hold(reason)) for borrower in borrowers]
            late = [borrower for borrower, wait in waits if not wait()]
        except Exception:
            logging.getLogger(__name__).exception("Training could not be held; the webui makes copies of its layers")
            return  # not held: each layer that a LoRA changes gets its own memory
        for borrower in late:
            logging.getLogger(__name__).warning("Training did not answer in %.0f s, so the webui takes a copy of its "
                                                "model for itself", _ANSWER_SECONDS)
            with self._changing:
                borrower.layers.take_everything()
        self._held = True

    def end(self) -> Reason | None:
        """The webui's lock is about to be released: restore the weights and let the borrowers resume. Never raises.

        Returns the reason it was taken for, ``None`` if that was before there was a guard.
        """
        reason, self._present = self._present, None
        with self._changing:
            self._held = False
            for borrower in self._borrowers:
                try:
                    borrower.layers.restore()
                except Exception:  # the worker checks the weights before it continues, and stops if they are wrong
                    logging.getLogger(__name__).exception("The lent weights could not be put back")
                try:
                    borrower.let_go()
                except WriteError:
                    logging.getLogger(__name__).exception("A run could not be resumed")
        return reason

    def change(self, original: Callable[[Any], None], layer: Any, changes: bool) -> None:
        """Call ``original``, which applies LoRAs to ``layer``, such that no borrower reads them."""
        with self._changing:
            lent = [borrower for borrower in self._borrowers if changes and borrower.layers.is_lent(layer)]
            held = [borrower.layers for borrower in lent if self._held and borrower.shares_work]
            for borrower in lent:
                if borrower.layers not in held:
                    borrower.layers.take_own(layer)
            original(layer)
            for layers in held:
                layers.note_change(layer)


def guard_of(lock: Any) -> Guard:
    """The guard of the webui's ``lock``, created when something is lent for the first time.

    Replaces the lock's class with one that notifies the guard. Without borrowers that only counts.
    """
    guard = getattr(lock, _GUARD, None)
    if guard is None:
        guard = Guard()
        setattr(lock, _GUARD, guard)
        lock.__class__ = _guarded(type(lock))
    return guard  # type: ignore[no-any-return]


def plain_lock(lock: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Functions that acquire and release ``lock`` without its guard, for uses other than generation."""
    kind = getattr(type(lock), _ORIGINAL, type(lock))
    return lambda: kind.acquire(lock), lambda: kind.release(lock)


def watch_networks(networks: Any, guard: Guard) -> None:
    """Make the built-in Lora extension's ``networks`` call ``guard`` before it changes a layer."""
    original = networks.network_apply_weights
    if getattr(original, _ORIGINAL, None) is not None:
        return

    def network_apply_weights(layer: Any) -> None:
        if guard.idle:
            original(layer)
        else:
            changes = bool(networks.loaded_networks or getattr(layer, "network_current_names", ()))
            guard.change(original, layer, changes)

    setattr(network_apply_weights, _ORIGINAL, original)
    networks.network_apply_weights = network_apply_weights


def _guarded(kind: Any) -> Any:
    class GuardedLock(kind):  # type: ignore[misc]
        """The webui's lock, which notifies the guard when it is acquired and released."""

        def acquire(self, blocking: bool = True) -> Any:
            guard, reason = getattr(self, _GUARD), reason_now()
            guard.come(reason)
            taken = super().acquire(blocking)
            if taken:
                guard.begin(reason)
            else:
                guard.leave(reason)
            return taken

        def release(self) -> None:
            guard = getattr(self, _GUARD)
            reason = guard.end()
            super().release()
            guard.leave(reason)

        __enter__ = acquire

        def __exit__(self, *_: object) -> None:
            self.release()

    setattr(GuardedLock, _ORIGINAL, kind)
    return GuardedLock
