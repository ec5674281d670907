"""Lending the webui's model to one run: from the ticket in its folder until it ends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from modules import call_queue

from ..config.load import load_job
from ..errors import TrainLoraError
from ..runs.events import read_events
from ..runs.folder import RunFolder
from ..runs.lend_ticket import FILE, LENT, PENDING, LendTicket, write_ticket
from ..runs.process import live_pid
from ..runs.process_mark import this_process
from .guard import Borrower, guard_of, plain_lock, watch_networks
from .lendable import Unlendable, lendable_model, refuse_small_memory, way_of, withheld_parts

_POLL_SECONDS = 0.3
_VAE_KEYS = ("first_stage_model.",)


class ModelLoan(threading.Thread):
    """Offers the model to ``run`` once no picture is being made, and guards it until ``give_back``.

    ``device`` is where both the webui's model and the run are. ``changed`` is called when there is news. ``networks``
    finds the built-in Lora extension, if there is one.
    """

    def __init__(self, run: RunFolder, device: str, networks: Callable[[], Any], changed: Callable[[], None]) -> None:
        super().__init__(name="train-lora-loan", daemon=True)
        self._run, self._device = run, device
        self._networks, self._changed = networks, changed
        self._borrower: Borrower | None = None
        self._settled, self._ended = threading.Event(), threading.Event()
        self._way = FILE
        self._events_read = run.events_file.stat().st_size if run.events_file.exists() else 0
        if self._try(self._decide):
            if device == "cpu" and self._announce():
                self._settled.set()  # the worker takes seconds to get ready, in which the model is lent
            self.start()
        else:
            self._settled.set()  # known at once, so that nothing has to wait for it

    @property
    def settled(self) -> bool:
        """Whether the run has been told what it gets, or that it has to wait for that; before that it must not start.

        On a GPU the webui's model may have to make room first, so that a run waits for the answer without a process.
        """
        return self._settled.is_set()

    @property
    def covers_gpu(self) -> bool:
        """Whether the run works beside the webui's model, so that this has to stay where it is."""
        return self._way != FILE

    def give_back(self) -> None:
        """The run has ended; returns at once."""
        self._ended.set()

    def run(self) -> None:
        """Offer, then watch what the run makes of it."""
        guard_of(call_queue.queue_lock)  # before the wait, so that pictures asked for meanwhile are guarded too
        acquire, release = plain_lock(call_queue.queue_lock)
        acquire()
        try:
            if not self._ended.is_set():
                self._try(self._lend)
        finally:
            release()
            self._settled.set()
            self._changed()
        try:
            self._watch()
        finally:
            self._stop_guarding()

    def _try(self, act: Callable[[], None]) -> bool:
        """Whether ``act`` could be done; if not, the run says why and reads the file."""
        try:
            act()
            return True
        except Unlendable as reason:
            self._refuse(str(reason))
        except TrainLoraError as problem:
            self._refuse(str(problem))  # the worker says more of it
        except ImportError as problem:
            self._refuse(f"the webui's Python cannot lend it ({problem})")
        except Exception as problem:
            logging.getLogger(__name__).exception("The model could not be lent; the run reads the file")
            self._refuse(f"lending it failed ({type(problem).__name__}: {problem})")
        return False

    def _decide(self) -> None:
        self._job = load_job(self._run.job_file)
        self._wanted = way_of(self._job, self._device)

    def _announce(self) -> bool:
        """Tell the run that there will be an answer; whether that could be done."""
        try:
            write_ticket(self._run.path, LendTicket(PENDING, this_process()))
            return True
        except OSError:
            logging.getLogger(__name__).exception("The run could not be notified that the model will be lent to it")
            return False

    def _lend(self) -> None:
        import torch

        from .lent_layers import LentLayers
        from .sharing import shared_handles, unshared_bytes

        model = lendable_model(self._job, self._device)
        withheld = withheld_parts(self._job)
        layers = LentLayers(model, _VAE_KEYS if "vae" in withheld else ())
        self._borrower = Borrower(self._run, layers)
        refuse_small_memory(unshared_bytes(layers.by_key.values()))
        handles = shared_handles(layers.by_key)
        guard = guard_of(call_queue.queue_lock)
        networks = self._networks()
        if hasattr(networks, "network_apply_weights"):
            watch_networks(networks, guard)
        guard.add(self._borrower)
        place = str(next(iter(layers.by_key.values())).device)
        ticket = LendTicket(self._wanted, this_process(), "", place, torch.__version__, withheld)
        write_ticket(self._run.path, ticket, handles)
        self._way = self._wanted

    def _refuse(self, reason: str) -> None:
        self._stop_guarding()
        self._way = FILE
        try:
            write_ticket(self._run.path, LendTicket(FILE, this_process(), reason=reason))
        except OSError:
            logging.getLogger(__name__).exception("The run could not be notified that the model is not lent to it")

    def _watch(self) -> None:
        """Stop guarding as soon as the run says that it works on memory of its own."""
        while not self._ended.wait(_POLL_SECONDS):
            if self._borrower is None:
                continue
            events, self._events_read = read_events(self._run.events_file, self._events_read)
            for event in events:
                if event["event"] == "weights" and event.get("way") != LENT:
                    self._way = str(event.get("way"))
                    self._stop_guarding()
                    self._changed()

    def _stop_guarding(self) -> None:
        borrower, self._borrower = self._borrower, None
        if borrower is not None:
            if self._way == LENT and live_pid(self._run) is not None:  # the tab is closed, the run continues
                borrower.layers.take_everything()
            guard_of(call_queue.queue_lock).remove(borrower)
            borrower.layers.close()
