"""Forge's differences, on stand-ins of the few names of Forge that are used."""

from __future__ import annotations

import importlib
import sys
import threading
import types
from pathlib import Path

import pytest
from modules import call_queue, sd_models, sd_vae, shared

from tests.standin.webui import Options, configure


class MainThread:
    """Forge's thread that moves models: runs what it is given, elsewhere, and keeps errors to itself."""

    def run_and_wait_result(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, name="forge")
        thread.start()
        thread.join()


@pytest.fixture
def forge(monkeypatch, tmp_path):
    """The Forge host, with one model on the GPU."""
    unloaded_in = []
    memory = types.ModuleType("backend.memory_management")
    memory.current_loaded_models = ["unet"]
    memory.soft_empty_cache = lambda: None

    def unload_all_models():
        unloaded_in.append(threading.current_thread().name)
        memory.current_loaded_models.clear()

    memory.unload_all_models = unload_all_models
    backend, modules_forge = types.ModuleType("backend"), types.ModuleType("modules_forge")
    backend.memory_management, modules_forge.main_thread = memory, MainThread()
    for name, module in (("backend", backend), ("backend.memory_management", memory),
                         ("modules_forge", modules_forge)):
        monkeypatch.setitem(sys.modules, name, module)
    checkpoints = (tmp_path / "first.safetensors", tmp_path / "second.safetensors")
    configure(Options(data_dir=tmp_path, port=0, checkpoints=checkpoints, device="cuda"))
    sd_models.model_data.sd_model = types.SimpleNamespace()  # Forge's placeholder before the first picture
    sd_models.model_data.forge_loading_parameters = {}
    monkeypatch.delitem(sys.modules, "lib_lora_train.host.forge", raising=False)
    host = importlib.import_module("lib_lora_train.host.forge").Forge()
    host.unloaded_in, host.memory = unloaded_in, memory
    yield host
    sys.modules.pop("lib_lora_train.host.forge", None)


def test_the_checkpoint_that_will_be_loaded_counts_as_the_current_one(forge, tmp_path):
    assert forge.checkpoint().path == tmp_path / "first.safetensors"
    chosen = sd_models.checkpoints_list["second.safetensors"]
    sd_models.model_data.forge_loading_parameters = {"checkpoint_info": chosen}
    assert forge.checkpoint().path == tmp_path / "second.safetensors"


def test_the_vae_is_found_among_the_chosen_modules(forge, monkeypatch, tmp_path):
    sd_vae.vae_dict["sharp.safetensors"] = str(tmp_path / "sharp.safetensors")
    assert forge.vae() is None
    monkeypatch.setattr(shared.opts, "forge_additional_modules",
                        [str(tmp_path / "t5.safetensors"), str(tmp_path / "sharp.safetensors")], raising=False)
    assert (forge.vae().title, forge.vae().path) == ("sharp.safetensors", Path(tmp_path / "sharp.safetensors"))


def test_models_are_unloaded_in_forges_own_thread_while_generation_is_held(forge):
    lease = forge.lend_gpu("auto")
    while not lease.ready:
        lease.join(0.01)
    assert forge.unloaded_in == ["forge"]
    assert not call_queue.queue_lock.acquire(False)
    lease.give_back()
    lease.join(120)
    assert call_queue.queue_lock.acquire(False)
    call_queue.queue_lock.release()


def test_a_failure_in_forges_thread_is_not_lost(forge):
    def broken():
        raise RuntimeError("CUDA error")

    forge.memory.unload_all_models = broken
    lease = forge.lend_gpu("auto")
    lease.join(120)
    assert "CUDA error" in lease.problem


def test_the_host_is_chosen_by_what_is_there(forge, monkeypatch):
    from lib_lora_train.host.choose import host_of_this_process

    sys.modules["modules_forge"].__spec__ = importlib.machinery.ModuleSpec("modules_forge", None)
    assert host_of_this_process().name.endswith("Forge")
    monkeypatch.delitem(sys.modules, "modules_forge")
    assert not host_of_this_process().name.endswith("Forge")
