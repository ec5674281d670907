"""Lends the webui's model to one run, from the ticket in its folder until the run ends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from modules import call_queue

from ..errors import TrainLoraError
from ..runs.events import read_events
from ..runs.folder import RunFolder
from ..runs.job import settings_of
from ..runs.lend_ticket import COPY, FILE, LENT, LENT_MEMORY, PENDING, LendTicket, write_ticket
from ..runs.process import live_pid
from ..runs.process_mark import this_process
from .guard import Borrower, guard_of, plain_lock, watch_networks
from .lendable import Unlendable, kept_on_gpu, lendable_model, refuse_small_memory, way_of, withheld_parts

_POLL_SECONDS = 0.3
_VAE_KEYS = ("first_stage_model.",)


class ModelLoan(threading.Thread):
    """Offers the model to ``run`` once nothing is being generated, and guards it until ``give_back``.

    ``device`` is that of both the webui's model and the run; on a GPU the model is lent when it moves to ``memory``.
    ``changed`` is called on every change. ``networks`` finds the built-in Lora extension, if there is one.
    """

    def __init__(self, run: RunFolder, device: str, networks: Callable[[], Any], changed: Callable[[], None],
                 memory: MainMemory) -> None:
        super().__init__(name="train-lora-loan", daemon=True)
        self._run, self._device = run, device
        self._networks, self._changed, self._memory = networks, changed, memory
        self._borrower: Borrower | None = None
        self._offered = False
        self._leave: Callable[[], None] | None = None
        self._settled, self._ended = threading.Event(), threading.Event()
        self._way = FILE
        self._events_read = run.events_file.stat().st_size if run.events_file.exists() else 0
        if self._try(self._decide):
            if (device == "cpu" or self._wanted == LENT_MEMORY) and self._announce():
                self._settled.set()  # the worker takes seconds to get ready; meanwhile the model is lent
            self.start()
        else:
            self._settled.set()  # known at once, so that nothing has to wait for it

    @property
    def settled(self) -> bool:
        """Whether the run has been told what it gets, or that it has to wait for that; it must not start before.

        On a GPU the webui's model may have to make room first, so the run waits for the answer without a process.
        """
        return self._settled.is_set()

    @property
    def covers_gpu(self) -> bool:
        """Whether the run shares the webui's model, which then has to stay where it is."""
        return self._way in (LENT, COPY)

    def give_back(self) -> None:
        """The run has ended; returns at once."""
        self._ended.set()

    def run(self) -> None:
        """Offer the model, then watch the run's response."""
        if self._wanted == LENT_MEMORY:
            self._settled.set()  # the model is lent when the run has the GPU, for which it has to be ready to start
            self._memory.join(self)
        else:
            self._lend_between_pictures()
        self._changed()
        try:
            self._watch()
        finally:
            self._memory.part(self)
            self._stop_guarding()

    def leave_gpu(self) -> None:
        """The webui's models are leaving the GPU, or have left it: lend them, or drop the GPU copies again.

        Called with the webui's lock held by the thread that frees the GPU.
        """
        if self._ended.is_set():
            return
        if not self._offered:
            self._offered = True
            self._try(self._lend)
        if self._leave is not None:
            self._leave()

    def _lend_between_pictures(self) -> None:
        guard_of(call_queue.queue_lock)  # before the wait, so that images requested meanwhile are guarded too
        acquire, release = plain_lock(call_queue.queue_lock)
        acquire()
        try:
            if not self._ended.is_set():
                self._try(self._lend)
        finally:
            release()
            self._settled.set()

    def _try(self, act: Callable[[], None]) -> bool:
        """Whether ``act`` succeeded; if not, the run reports why and reads the file."""
        try:
            act()
            return True
        except Unlendable as reason:
            self._refuse(str(reason))
        except TrainLoraError as problem:
            self._refuse(str(problem))  # the worker reports it in more detail
        except ImportError as problem:
            self._refuse(f"the webui's Python cannot lend it ({problem})")
        except Exception as problem:
            logging.getLogger(__name__).exception("The model could not be lent; the run reads the file")
            self._refuse(f"lending it failed ({type(problem).__name__}: {problem})")
        return False

    def _decide(self) -> None:
        self._job = settings_of(self._run)
        self._wanted = way_of(self._job, self._device)

    def _announce(self) -> bool:
        """Tell the run that there will be an answer; returns whether that succeeded."""
        try:
            write_ticket(self._run.path, LendTicket(PENDING, this_process()))
            return True
        except OSError:
            logging.getLogger(__name__).exception("The run could not be notified that the model will be lent to it")
            return False

    def _lend(self) -> None:
        import torch

        from .lent_layers import LentLayers, MemoryLayers
        from .sharing import shared_handles, unshared_bytes

        model = lendable_model(self._job, self._device)
        withheld = withheld_parts(self._job)
        on_cpu = self._device == "cpu"
        layers = (LentLayers if on_cpu else MemoryLayers)(model, _VAE_KEYS if "vae" in withheld else ())
        self._borrower = Borrower(self._run, layers, shares_work=on_cpu)
        refuse_small_memory(unshared_bytes(layers.by_key.values()))
        if isinstance(layers, MemoryLayers):
            layers.copy_to_main_memory()
        handles = shared_handles(layers.by_key)
        guard = guard_of(call_queue.queue_lock)
        networks = self._networks()
        if hasattr(networks, "network_apply_weights"):
            watch_networks(networks, guard)
        guard.add(self._borrower)
        ticket = LendTicket(self._wanted, this_process(), "", torch.__version__, withheld)
        write_ticket(self._run.path, ticket, handles)
        self._way = self._wanted
        if isinstance(layers, MemoryLayers) and self._wanted == LENT_MEMORY:
            self._leave = lambda: layers.leave_gpu(kept_on_gpu(model))

    def _refuse(self, reason: str) -> None:
        self._stop_guarding()
        self._way = FILE
        try:
            write_ticket(self._run.path, LendTicket(FILE, this_process(), reason=reason))
        except OSError:
            logging.getLogger(__name__).exception("The run could not be notified that the model is not lent to it")

    def _watch(self) -> None:
        """Stop guarding as soon as the run reports that it uses its own memory."""
        while not self._ended.wait(_POLL_SECONDS):
            if self._borrower is None:
                continue
            events, self._events_read = read_events(self._run.events_file, self._events_read)
            for event in events:
                if event["event"] == "weights" and event.get("way") not in (LENT, LENT_MEMORY):
                    self._way = str(event.get("way"))
                    self._stop_guarding()
                    self._changed()

    def _stop_guarding(self) -> None:
        with self._memory.changing:
            borrower, self._borrower, self._leave = self._borrower, None, None
            if borrower is None:
                return
            if self._way in (LENT, LENT_MEMORY) and live_pid(self._run) is not None:  # tab closed, run active
                borrower.layers.take_everything()
            guard_of(call_queue.queue_lock).remove(borrower)
            borrower.layers.close()


class MainMemory:
    """Location of the webui's models while a run has the GPU, and the loans that share them there.

    ``changing`` is held while models move, or while their sharing changes.
    """

    def __init__(self) -> None:
        self.changing = threading.RLock()
        self._loans: list[ModelLoan] = []
        self._in_use = False

    def join(self, loan: ModelLoan) -> None:
        """Notify ``loan`` when models leave the GPU; at once, if they have left it."""
        with self.changing:
            self._loans.append(loan)
            if self._in_use:
                loan.leave_gpu()

    def part(self, loan: ModelLoan) -> None:
        """``loan`` is over, or never joined."""
        with self.changing:
            if loan in self._loans:
                self._loans.remove(loan)

    def leave_gpu(self) -> None:
        """The models leave the GPU: lent tensors are dropped there, the webui moves the rest."""
        self._in_use = True
        for loan in list(self._loans):
            loan.leave_gpu()

    def return_to_gpu(self) -> None:
        """The models are about to be moved back."""
        self._in_use = False
