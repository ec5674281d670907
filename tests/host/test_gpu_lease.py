"""While a run has the GPU the webui's models are off it, nothing is generated, and all comes back whatever happens."""

from __future__ import annotations

import threading
import time

import pytest
from modules import call_queue, devices, sd_models

from lib_lora_train.host import gpu_lease
from lib_lora_train.host.gpu_lease import same_device


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)


def generation_is_possible():
    if call_queue.queue_lock.acquire(False):
        call_queue.queue_lock.release()
        return True
    return False


def loaded():
    return sd_models.model_data.sd_model


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(gpu_lease, "_KEEP_FREE_SECONDS", 0.02)
    monkeypatch.setattr(gpu_lease, "_RESTORE_PAUSE_SECONDS", 0.01)


def test_the_models_are_off_the_gpu_and_generation_waits_until_it_is_given_back(webui):
    lease = webui.lend_gpu("cuda:0")
    wait_until(lambda: lease.ready)
    assert str(loaded().where) == "cpu"
    assert not generation_is_possible()
    lease.give_back()
    wait_until(generation_is_possible)
    assert str(loaded().where) == "cuda:0"
    assert not lease.ready


def test_a_picture_that_is_being_made_is_finished_first(webui):
    with call_queue.queue_lock:
        lease = webui.lend_gpu("cuda:0")
        wait_until(lambda: call_queue.queue_lock._waiting)
        assert not lease.ready
        assert str(loaded().where) == "cuda:0"
    wait_until(lambda: lease.ready)
    lease.give_back()
    wait_until(generation_is_possible)


def test_a_lease_that_is_given_up_while_it_waits_moves_nothing(webui):
    with call_queue.queue_lock:
        lease = webui.lend_gpu("cuda:0")
        lease.give_back()
    lease.join(120)
    assert generation_is_possible()
    assert loaded().moves == []


def test_every_loaded_model_is_moved_and_only_what_was_on_the_gpu_comes_back(webui):
    kept_in_memory = sd_models.Model(next(iter(sd_models.checkpoints_list.values())))
    kept_in_memory.where = devices.cpu
    second = sd_models.Model(list(sd_models.checkpoints_list.values())[1])
    sd_models.model_data.loaded_sd_models += [second, kept_in_memory]
    lease = webui.lend_gpu("")
    wait_until(lambda: lease.ready)
    assert [str(model.where) for model in sd_models.model_data.loaded_sd_models] == ["cpu", "cpu", "cpu"]
    lease.give_back()
    lease.join(120)
    assert [str(model.where) for model in sd_models.model_data.loaded_sd_models] == ["cuda:0", "cuda:0", "cpu"]
    assert kept_in_memory.moves == []


def test_a_model_that_an_api_call_loads_meanwhile_is_moved_off_too(webui):
    lease = webui.lend_gpu("cuda:0")
    wait_until(lambda: lease.ready)
    newcomer = sd_models.Model(list(sd_models.checkpoints_list.values())[1])
    sd_models.model_data.loaded_sd_models[:] = [newcomer]
    sd_models.model_data.sd_model = newcomer
    wait_until(lambda: str(newcomer.where) == "cpu")
    lease.give_back()
    lease.join(120)
    assert str(newcomer.where) == "cuda:0"


def test_a_model_that_was_unloaded_meanwhile_is_not_brought_back(webui):
    gone = loaded()
    lease = webui.lend_gpu("cuda:0")
    wait_until(lambda: lease.ready)
    sd_models.model_data.loaded_sd_models.clear()
    lease.give_back()
    lease.join(120)
    assert str(gone.where) == "cpu"


class NotedLock:
    """A lock that tells how many want it."""

    def __init__(self):
        self._lock, self.wanted = threading.Lock(), 0

    def __enter__(self):
        self.wanted += 1
        self._lock.acquire()

    def __exit__(self, *_):
        self._lock.release()


def test_the_first_load_is_waited_for(webui, monkeypatch):
    lock = NotedLock()
    monkeypatch.setattr(sd_models.model_data, "lock", lock)
    with lock:  # as the webui holds it while it loads its first model
        lease = webui.lend_gpu("cuda:0")
        wait_until(lambda: lock.wanted == 2)
        assert not lease.ready
        assert loaded().moves == []
    wait_until(lambda: lease.ready)
    lease.give_back()
    lease.join(120)


@pytest.mark.parametrize("works", [True, False])
def test_who_waits_for_the_gpu_is_told_when_it_is_free_or_why_it_is_not(webui, monkeypatch, works):
    if not works:
        monkeypatch.setattr(sd_models, "send_model_to_cpu", broken)
    told, seen = threading.Event(), []

    def changed():
        seen.append((lease.ready, bool(lease.problem)))
        told.set()

    with call_queue.queue_lock:
        lease = webui.lend_gpu("cuda:0", changed)
    assert told.wait(240) and seen == [(works, not works)]
    lease.give_back()
    lease.join(120)


def test_an_image_that_begins_to_wait_for_the_gpu_is_told_of_at_once(webui):
    """Whoever looks after the runs need not ask every second."""
    heard = threading.Event()
    lease = webui.lend_gpu("cuda:0", heard.set)
    wait_until(lambda: lease.ready)
    assert heard.wait(120)
    heard.clear()
    image = threading.Thread(target=generate)
    image.start()
    assert heard.wait(120) and webui.gpu_is_wanted() is not None
    lease.give_back()
    for thread in (image, lease):
        thread.join(120)
    heard.clear()
    generate()
    assert not heard.is_set()


def generate():
    with call_queue.queue_lock:
        pass


def test_if_the_models_cannot_be_moved_off_it_is_said_and_generation_continues(webui, monkeypatch):
    monkeypatch.setattr(sd_models, "send_model_to_cpu", broken)
    lease = webui.lend_gpu("cuda:0")
    wait_until(lambda: lease.problem)
    lease.join(120)
    assert "CUDA error" in lease.problem
    assert generation_is_possible()
    assert str(loaded().where) == "cuda:0"


def test_bringing_back_is_tried_again_and_generation_continues_even_if_it_never_works(webui, monkeypatch):
    works = sd_models.send_model_to_device
    attempts = []

    def works_the_second_time(model):
        attempts.append(model)
        if len(attempts) == 1:
            raise RuntimeError("out of memory")
        works(model)

    monkeypatch.setattr(sd_models, "send_model_to_device", works_the_second_time)
    lease = webui.lend_gpu("cuda:0")
    wait_until(lambda: lease.ready)
    lease.give_back()
    lease.join(120)
    assert str(loaded().where) == "cuda:0"

    monkeypatch.setattr(sd_models, "send_model_to_device", broken)
    lease = webui.lend_gpu("cuda:0")
    wait_until(lambda: lease.ready)
    lease.give_back()
    lease.join(120)
    assert generation_is_possible()


@pytest.mark.parametrize(("webui_on", "run_on", "freed"), [
    ("cuda", "auto", True), ("cuda:0", "cuda", True), ("cuda", "cuda:0", True), ("cuda:1", "cuda:1", True),
    ("cuda:1", "cuda:0", False), ("cuda", "cpu", False), ("cpu", "auto", False), ("cpu", "cuda:0", False),
    ("mps", "", True), ("mps", "mps", True)])
def test_only_the_gpu_that_both_use_is_freed(webui_on, run_on, freed):
    assert same_device(webui_on, run_on) is freed


def test_on_a_webui_without_a_gpu_nothing_is_held(webui, monkeypatch):
    monkeypatch.setattr(devices, "device", devices.cpu)
    assert webui.lend_gpu("auto") is None
    assert generation_is_possible()


def test_two_leases_come_one_after_the_other(webui):
    first = webui.lend_gpu("cuda:0")
    wait_until(lambda: first.ready)
    second = webui.lend_gpu("cuda:0")
    wait_until(lambda: call_queue.queue_lock._waiting)
    assert not second.ready
    first.give_back()
    wait_until(lambda: second.ready)
    assert str(loaded().where) == "cpu"
    second.give_back()
    second.join(120)
    assert str(loaded().where) == "cuda:0"
    assert not [thread for thread in threading.enumerate() if thread.name == "train-lora-gpu-lease"]


def broken(_):
    raise RuntimeError("CUDA error: an illegal memory access was encountered")
