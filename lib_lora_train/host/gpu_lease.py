"""Keeps the GPU free for a worker, and always returns it to the webui."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

_KEEP_FREE_SECONDS = 5.0
_RESTORE_ATTEMPTS = 3
_RESTORE_PAUSE_SECONDS = 2.0


class GpuOwner(Protocol):
    """The operations of the webui that a lease needs."""

    def hold_generation(self) -> None:
        """Wait until nothing is being generated, then block generation."""
        ...

    def release_generation(self) -> None:
        """Allow generation again. May be called from another thread than ``hold_generation``."""
        ...

    def listen(self, heard: Callable[[], None]) -> Callable[[], None]:
        """Call ``heard`` whenever something begins to wait for generation, until the returned function is called."""
        ...

    def free_gpu(self) -> None:
        """Move the models off the GPU. Calling it again is cheap."""
        ...

    def restore_gpu(self) -> None:
        """Move back what ``free_gpu`` moved off; raises if that fails, and can then be called again."""
        ...


def same_device(webui: str, run: str) -> bool:
    """Whether a run on ``run`` needs the GPU ``webui``; for an empty one or ``auto`` the worker chooses."""
    if webui == "cpu" or run == "cpu":
        return False
    return run in ("", "auto") or _indexed(webui) == _indexed(run)


def _indexed(device: str) -> str:
    return "cuda:0" if device == "cuda" else device


class GpuLease(threading.Thread):
    """Blocks generation and keeps the webui's models off the GPU from ``ready`` until ``give_back``.

    Runs in its own thread, since waiting for the current image can take minutes. ``changed`` is called once it is
    ``ready`` or has a ``problem``, and while it is ``ready`` whenever the webui wants to generate.
    """

    def __init__(self, owner: GpuOwner, changed: Callable[[], None] = lambda: None) -> None:
        super().__init__(name="train-lora-gpu-lease", daemon=True)
        self._owner, self._changed = owner, changed
        self._free, self._ended = threading.Event(), threading.Event()
        self._problem = ""
        self.start()

    @property
    def ready(self) -> bool:
        """Whether the models are off the GPU."""
        return self._free.is_set()

    @property
    def problem(self) -> str:
        """Why they could not be moved; empty if there was no problem."""
        return self._problem

    def give_back(self) -> None:
        """Allow the models to return and generation to continue; returns at once."""
        self._ended.set()

    def run(self) -> None:
        """Hold, free, wait, restore, release."""
        self._owner.hold_generation()
        try:
            if not self._ended.is_set():
                self._stay_free()
        finally:
            self._owner.release_generation()

    def _stay_free(self) -> None:
        try:
            self._owner.free_gpu()
            stop_listening = self._owner.listen(self._changed)
            try:
                self._free.set()
                self._changed()
                while not self._ended.wait(_KEEP_FREE_SECONDS):
                    self._free_again()
            finally:
                stop_listening()
        except Exception as problem:
            logging.getLogger(__name__).exception("The webui's models could not be moved off the GPU")
            self._problem = (f"The webui's models could not be moved off the GPU: {problem}. "
                             "Restart the webui and start the run again.")
            self._changed()
        finally:
            self._free.clear()
            self._restore()

    def _free_again(self) -> None:
        try:
            self._owner.free_gpu()  # an API call can load a checkpoint without taking the lock
        except Exception:
            logging.getLogger(__name__).exception("A model that came back to the GPU could not be moved off it")

    def _restore(self) -> None:
        for attempt in range(1, _RESTORE_ATTEMPTS + 1):
            try:
                self._owner.restore_gpu()
                return
            except Exception:
                logging.getLogger(__name__).exception("The webui's models could not be moved back (try %d of %d)",
                                                      attempt, _RESTORE_ATTEMPTS)
                time.sleep(_RESTORE_PAUSE_SECONDS)
        logging.getLogger(__name__).error(
            "The webui's models are still off the GPU. Choose the checkpoint again, or restart the webui.")
