"""Where Forge and reForge differ, on stand-ins of the few names of theirs that are used."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from modules import call_queue, sd_models, sd_vae, shared

from tests.host.mixtures import FORGE, MEMORY, REFORGE, become, forget
from tests.standin.webui import Options, configure

KINDS = [FORGE, REFORGE]


@pytest.fixture
def make_host(monkeypatch, tmp_path):
    """Makes the host of the webui whose packages lie in a folder, with one model on the GPU."""
    def make(root):
        checkpoints = (tmp_path / "first.safetensors", tmp_path / "second.safetensors")
        configure(Options(data_dir=tmp_path, port=0, checkpoints=checkpoints, device="cuda"))
        become(monkeypatch, root)
        from lib_lora_train.host.choose import host_of_this_process

        host = host_of_this_process()
        host.account = importlib.import_module(MEMORY[root])
        monkeypatch.setattr(host.account, "current_loaded_models", ["unet"])
        monkeypatch.setattr(host.account, "unloaded_in", [])
        return host

    yield make
    forget()


@pytest.fixture
def forge(make_host):
    return make_host(FORGE)


def test_the_checkpoint_that_will_be_loaded_counts_as_the_current_one(forge, tmp_path):
    assert forge.checkpoint().path == tmp_path / "first.safetensors"
    chosen = sd_models.checkpoints_list["second.safetensors"]
    sd_models.model_data.forge_loading_parameters = {"checkpoint_info": chosen}
    assert forge.checkpoint().path == tmp_path / "second.safetensors"


def test_in_reforge_the_loaded_checkpoint_and_vae_are_those_of_a1111s_names(make_host, tmp_path):
    reforge = make_host(REFORGE)
    sd_models.model_data.set_sd_model(sd_models.Model(sd_models.checkpoints_list["second.safetensors"]))
    sd_vae.loaded_vae_file = str(tmp_path / "sharp.safetensors")
    assert reforge.checkpoint().path == tmp_path / "second.safetensors"
    assert reforge.vae().path == tmp_path / "sharp.safetensors"


def test_the_vae_is_found_among_the_chosen_modules(forge, monkeypatch, tmp_path):
    sd_vae.vae_dict["sharp.safetensors"] = str(tmp_path / "sharp.safetensors")
    assert forge.vae() is None
    monkeypatch.setattr(shared.opts, "forge_additional_modules",
                        [str(tmp_path / "t5.safetensors"), str(tmp_path / "sharp.safetensors")], raising=False)
    assert (forge.vae().title, forge.vae().path) == ("sharp.safetensors", Path(tmp_path / "sharp.safetensors"))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_models_are_unloaded_in_forges_own_thread_while_generation_is_held(make_host, kind):
    host = make_host(kind)
    lease = host.lend_gpu("auto")
    while not lease.ready:
        lease.join(0.01)
    assert host.account.unloaded_in == ["forge"]
    assert not call_queue.queue_lock.acquire(False)
    lease.give_back()
    lease.join(120)
    assert call_queue.queue_lock.acquire(False)
    call_queue.queue_lock.release()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_failure_in_forges_thread_is_not_lost(make_host, monkeypatch, kind):
    def broken():
        raise RuntimeError("CUDA error")

    host = make_host(kind)
    monkeypatch.setattr(host.account, "unload_all_models", broken)
    lease = host.lend_gpu("auto")
    lease.join(120)
    assert "CUDA error" in lease.problem
