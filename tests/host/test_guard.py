"""A picture makes whoever reads the weights stand still first, and nothing that goes wrong there stops the picture."""

from __future__ import annotations

import threading
import time
import types

import pytest

from lib_lora_train.host import guard as guard_module
from lib_lora_train.host.guard import Borrower, Guard, guard_of, plain_lock, watch_networks
from lib_lora_train.runs.events import EventWriter
from lib_lora_train.runs.folder import create_run
from lib_lora_train.runs.hold import HoldRequests
from lib_lora_train.runs.lend_ticket import HANDLES_FILE
from lib_lora_train.runs.process import remember_process
from tests.standin.modules.fifo_lock import FIFOLock


class Layers:
    """Records what is asked of it."""

    def __init__(self):
        self.done = []

    def is_lent(self, layer):
        return layer != "not lent"

    def note_change(self, layer):
        self.done.append(f"noted {layer}")

    def restore(self):
        self.done.append("restored")

    def take_own(self, module):
        self.done.append(f"own {module}")

    def take_everything(self):
        self.done.append("own everything")

    def close(self):
        self.done.append("closed")


@pytest.fixture
def run(tmp_path):
    """A run whose worker, which this process stands for, has opened the weights."""
    run = create_run(tmp_path, "penny", "")
    remember_process(run)
    return run


@pytest.fixture
def lent(run):
    lock = FIFOLock()
    borrower = Borrower(run, Layers())
    guard_of(lock).add(borrower)
    return types.SimpleNamespace(lock=lock, guard=guard_of(lock), borrower=borrower, done=borrower.layers.done,
                                 holds=run.control.holds)


def answer_holds(run, count):
    """A worker that stands still when it is asked to, ``count`` times."""
    def work():
        with EventWriter(run.events_file) as events:
            for _ in range(count):
                while not (asked := run.control.holds.asked()):
                    time.sleep(0.002)
                events.write("held", {"token": asked[0].token})
                while run.control.holds.asked()[:1] == asked:
                    time.sleep(0.002)

    worker = threading.Thread(target=work)
    worker.start()
    return worker


def test_the_lock_is_given_only_when_the_worker_stands_still_and_the_weights_are_back_when_it_resumes(run, lent):
    worker = answer_holds(run, 2)
    for _ in range(2):
        with lent.lock:
            assert lent.holds.asked()
            lent.guard.change(lambda layer: lent.done.append(f"changed {layer}"), "layer", True)
        assert not lent.holds.asked()
    worker.join(20)
    assert lent.done == ["changed layer", "noted layer", "restored"] * 2


def test_a_worker_that_has_not_opened_the_weights_is_not_waited_for(run, lent):
    (run.path / HANDLES_FILE).touch()
    with lent.lock:
        assert lent.holds.asked()  # it will look for this before it opens them
    assert lent.done == ["restored"]


def test_a_worker_that_is_gone_is_not_waited_for(run, lent):
    run.process_file.unlink()
    with lent.lock:
        pass
    assert lent.done == ["restored"]


def test_when_the_worker_does_not_answer_the_webui_takes_a_copy_and_makes_its_picture(lent, monkeypatch):
    monkeypatch.setattr(guard_module, "_ANSWER_SECONDS", 0.05)
    with lent.lock:
        assert lent.done == ["own everything"]
    assert not lent.holds.asked()


def test_when_the_worker_cannot_be_asked_each_changed_layer_gets_memory_of_its_own(lent, monkeypatch):
    def full_disk(self, reason, *, gives_gpu):
        raise OSError("No space left on device")

    monkeypatch.setattr(HoldRequests, "ask", full_disk)
    with lent.lock:
        lent.guard.change(lambda layer: lent.done.append(f"changed {layer}"), "layer", True)
    assert lent.done == ["own layer", "changed layer", "restored"]


def test_a_lora_that_comes_without_the_lock_gets_memory_of_its_own_before_it_changes_a_layer(lent):
    def apply(layer):
        lent.done.append(f"changed {layer}")

    networks = types.SimpleNamespace(network_apply_weights=apply, loaded_networks=["hat"])
    watch_networks(networks, lent.guard)
    watch_networks(networks, lent.guard)  # the second loan finds the first one's watch
    networks.network_apply_weights("layer")
    networks.network_apply_weights("not lent")
    networks.loaded_networks.clear()
    networks.network_apply_weights("layer")  # nothing is active and nothing was: this changes no value
    assert lent.done == ["own layer", "changed layer", "changed not lent", "changed layer"]
    lent.guard.remove(lent.borrower)
    networks.network_apply_weights("layer")
    assert lent.done[-1] == "changed layer"


def test_what_is_no_picture_takes_the_lock_without_holding_anyone(lent):
    acquire, release = plain_lock(lent.lock)
    acquire()
    assert not lent.holds.asked()
    assert not lent.lock.acquire(False)
    release()
    assert lent.done == []


def test_without_borrowers_the_lock_is_what_it_was():
    lock = FIFOLock()
    guard = guard_of(lock)
    assert isinstance(guard, Guard)
    assert guard_of(lock) is guard
    with lock:
        assert not lock.acquire(False)
    assert lock.acquire(False)
    lock.release()


def test_weights_that_cannot_be_put_back_do_not_keep_the_webui_from_its_next_picture(run, lent, monkeypatch):
    def broken():
        raise RuntimeError("out of memory")

    monkeypatch.setattr(lent.borrower.layers, "restore", broken)
    monkeypatch.setattr("lib_lora_train.host.guard._ANSWER_SECONDS", 0.5)  # nobody answers the second picture
    worker = answer_holds(run, 1)
    with lent.lock:
        pass
    worker.join(20)
    assert lent.lock.acquire(False)
