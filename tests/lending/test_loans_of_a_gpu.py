"""From the offer of a model that leaves the GPU to its end: several runs, copies, and what cannot be lent."""

from __future__ import annotations

import os
import threading

import pytest
from modules import devices, sd_models, sd_vae

from lib_lora_train.host import lendable, lent_layers
from lib_lora_train.host.lent_layers import MemoryLayers
from lib_lora_train.runs.lend_ticket import COPY, FILE, LENT_MEMORY
from tests.standin.simulated_gpu import GPU

from .gpu_webui import SECONDS, by_key, draw, is_base, opened, save_few_words, size, ticket, until


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_few_words(tmp_path_factory.mktemp("few") / "few.safetensors")


def test_the_next_run_finds_the_model_in_shared_memory_and_nothing_is_copied(on_gpu, checkpoint):
    first, _, _ = on_gpu.lend()
    on_gpu.gpu.forget()
    first.give_back()
    run = on_gpu.run("alice")
    on_gpu.offer(run)
    until(lambda: ticket(run).way == LENT_MEMORY)
    tensors = opened(run).tensors
    assert on_gpu.gpu.uploaded == on_gpu.gpu.downloaded == []
    first.join(SECONDS)
    on_gpu.turn("hat:1")
    assert is_base(tensors, checkpoint)
    assert on_gpu.own() == set()


def test_when_the_tab_is_closed_and_the_run_continues_the_webui_has_a_model_of_its_own(on_gpu, checkpoint):
    loan, _, tensors = on_gpu.lend()
    loan.give_back()
    loan.join(SECONDS)
    on_gpu.webui.restore_gpu()
    draw(on_gpu.model, "hat:1")
    on_gpu.webui.free_gpu()
    draw(on_gpu.model)
    assert is_base(tensors, checkpoint)
    assert on_gpu.own() == set(tensors)
    assert is_base(by_key(on_gpu.model), checkpoint)


def test_a_run_that_is_over_leaves_the_webui_its_model(on_gpu, checkpoint):
    loan, run, tensors = on_gpu.lend()
    tensors.clear()
    run.process_file.unlink()
    loan.give_back()
    loan.join(SECONDS)
    on_gpu.gpu.forget()
    on_gpu.webui.restore_gpu()
    assert sum(on_gpu.gpu.uploaded) == size(on_gpu.model)
    assert is_base({key: tensor.cpu() for key, tensor in by_key(on_gpu.model).items()}, checkpoint)
    assert not any(module._load_state_dict_pre_hooks for module in on_gpu.model.modules())


def test_a_copy_leaves_the_webuis_model_on_the_gpu(on_gpu, checkpoint):
    run = on_gpu.run(webui_model=COPY)
    loan = on_gpu.offer(run)
    assert ticket(run).way == COPY
    assert loan.covers_gpu
    assert is_base(opened(run).tensors, checkpoint)
    assert all(parameter.device == GPU for parameter in on_gpu.model.parameters())
    assert sum(on_gpu.gpu.downloaded) == size(on_gpu.model)
    draw(on_gpu.model, "hat:1")


def small_memory(monkeypatch, on_gpu):
    monkeypatch.setattr(lendable, "_SPARE", 1e15)


def fp8(monkeypatch, on_gpu):
    monkeypatch.setattr(devices, "fp8", True)


def other_checkpoint(monkeypatch, on_gpu):
    on_gpu.model.sd_checkpoint_info = sd_models.CheckpointInfo("/models/another.safetensors")


def broken_memory(monkeypatch, on_gpu):
    def broken(tensor):
        raise RuntimeError("unable to open shared memory object")

    monkeypatch.setattr(lent_layers, "shared_copy", broken)


@pytest.mark.parametrize(("hinder", "reason"), [
    (small_memory, "--shm-size"), (fp8, "as fp8"), (other_checkpoint, "another.safetensors loaded"),
    (broken_memory, "unable to open shared memory object")])
def test_where_it_cannot_be_done_the_run_reads_the_file_and_knows_why(on_gpu, monkeypatch, hinder, reason):
    hinder(monkeypatch, on_gpu)
    draw(on_gpu.model, "hat:1")
    run = on_gpu.run()
    loan = on_gpu.offer(run)
    until(lambda: loan in on_gpu.webui._main_memory._loans)
    on_gpu.webui.free_gpu()
    assert ticket(run).way == FILE
    assert reason in ticket(run).reason
    assert not loan.covers_gpu
    assert all(parameter.device.type == "cpu" for parameter in on_gpu.model.parameters())  # the GPU is free
    on_gpu.webui.restore_gpu()
    assert all(parameter.device == GPU for parameter in on_gpu.model.parameters())


def test_another_vae_than_the_runs_is_not_shared(on_gpu, monkeypatch):
    monkeypatch.setattr(sd_vae, "loaded_vae_file", "/v/sharp.safetensors")
    _, run, tensors = on_gpu.lend()
    assert set(ticket(run).withheld) == {"vae"}
    assert tensors
    assert not any(key.startswith("first_stage_model.") for key in tensors)
    assert on_gpu.own() == {key for key in by_key(on_gpu.model) if key.startswith("first_stage_model.")}


def test_a_model_that_is_being_lent_is_not_moved_meanwhile(on_gpu, monkeypatch):
    """A picture that comes when the GPU has just been freed waits until the run knows where the model lies."""
    began, may_end = threading.Event(), threading.Event()
    copy = MemoryLayers.copy_to_main_memory

    def slow(layers):
        began.set()
        assert may_end.wait(SECONDS)
        copy(layers)

    on_gpu.webui.free_gpu()
    monkeypatch.setattr(MemoryLayers, "copy_to_main_memory", slow)
    run = on_gpu.run()
    on_gpu.offer(run)  # a second run, for which nothing has to be freed
    assert began.wait(SECONDS)
    restore = threading.Thread(target=on_gpu.webui.restore_gpu)
    restore.start()
    restore.join(0.1)
    assert restore.is_alive()
    may_end.set()
    restore.join(SECONDS)
    assert ticket(run).way == LENT_MEMORY
    assert all(parameter.device == GPU for parameter in on_gpu.model.parameters())
    assert os.getpid() == ticket(run).lender.pid
