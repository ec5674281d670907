"""Webuis are detected by the parts that they have, and one that is a mixture of several trains from the file."""

from __future__ import annotations

import sys

import modules
import pytest
from modules import devices, paths, sd_models, sd_vae, shared

from lib_lora_train.host.choose import host_of_this_process
from lib_lora_train.host.interface import NO_BLOCK_WEIGHTS, NOT_DRAWN_HERE
from lib_lora_train.runs.folder import create_run
from lib_lora_train.runs.lend_ticket import FILE, read_ticket
from tests.host.mixtures import FORGE, REFORGE, become, forget, write_package
from tests.standin.webui import Options, configure

THREAD = "def run_and_wait_result(func, *args, **kwargs):\n    func(*args, **kwargs)\n"
MEMORY = "current_loaded_models = []\ndef unload_all_models(): pass\ndef soft_empty_cache(): pass\n"


@pytest.fixture(autouse=True)
def webui_of_two_checkpoints(monkeypatch, tmp_path):
    """A1111's modules as the stand-in has them; each test adds to them or takes away."""
    checkpoints = (tmp_path / "first.safetensors", tmp_path / "second.safetensors")
    configure(Options(data_dir=tmp_path, port=0, checkpoints=checkpoints, vaes=(tmp_path / "sharp.safetensors",),
                      device="cuda:0"))
    become(monkeypatch)
    yield
    forget()


@pytest.mark.parametrize(("roots", "name"), [
    ((), "Stable Diffusion webui"), ((FORGE,), "Stable Diffusion webui Forge"),
    ((REFORGE,), "Stable Diffusion webui reForge or Forge Classic"),
    ((FORGE, REFORGE), "Stable Diffusion webui Forge")])
def test_each_webui_is_detected_by_its_parts(monkeypatch, roots, name):
    become(monkeypatch, *roots)
    assert host_of_this_process().name == name


def test_backend_without_forges_parameters_is_not_forge(monkeypatch):
    become(monkeypatch, FORGE)
    monkeypatch.delattr(sd_models.model_data, "forge_loading_parameters")
    assert "forge_loading_parameters" in host_of_this_process().limits()[0]


MIXTURES = {
    "modules_forge alone": ({"modules_forge__initialization": ""}, "modules_forge.main_thread"),
    "no memory management": ({"modules_forge__main_thread": THREAD}, "backend.memory_management"),
    "later Neo, whose backend is comfy's": ({"modules_forge__main_thread": THREAD, "backend__loader": ""},
                                            "ldm_patched.modules.model_management"),
    "a backend that cannot be imported": ({"modules_forge__main_thread": THREAD,
                                           "backend__memory_management": "raise RuntimeError('no CUDA')"},
                                          "backend.memory_management"),
    "memory management without unload_all_models": (
        {"modules_forge__main_thread": THREAD,
         "ldm_patched__modules__model_management": "current_loaded_models = []"},
        "ldm_patched.modules.model_management.unload_all_models"),
    "no thread for models": ({"modules_forge__initialization": "", "backend__memory_management": MEMORY},
                             "modules_forge.main_thread"),
    "a thread of another shape": ({"modules_forge__main_thread": "def run(): pass", "ldm_patched__modules__"
                                   "model_management": MEMORY}, "modules_forge.main_thread.run_and_wait_result")}


@pytest.mark.parametrize("mixture", MIXTURES)
def test_a_mixture_of_forges_kind_trains_from_the_file_and_says_what_is_off(monkeypatch, tmp_path, mixture):
    files, lacks = MIXTURES[mixture]
    become(monkeypatch, write_package(tmp_path / "packages", **files))
    _holds_back(host_of_this_process(), lacks, tmp_path)


TAKEN_AWAY = [(sd_models, "send_model_to_cpu", "modules.sd_models.send_model_to_cpu"),
              (sd_models, "model_data", "modules.sd_models.model_data"),
              (sd_models, "checkpoint_aliases", "modules.sd_models.checkpoint_aliases"),
              (sd_vae, "loaded_vae_file", "modules.sd_vae.loaded_vae_file"),
              (devices, "torch_gc", "modules.devices.torch_gc"),
              (shared, "interrogator", "modules.shared.interrogator")]


@pytest.mark.parametrize(("module", "name", "lacks"), TAKEN_AWAY, ids=[lacks for *_, lacks in TAKEN_AWAY])
def test_a_webui_without_a_part_of_a1111s_trains_from_the_file_and_says_what_is_off(
        monkeypatch, tmp_path, module, name, lacks):
    monkeypatch.delattr(module, name)
    _holds_back(host_of_this_process(), lacks, tmp_path)


def _holds_back(host, lacks, tmp_path):
    """It is usable, touches nothing of the webui, and run and tab are told why."""
    assert host.name == "Unknown webui"
    assert any(lacks in limit for limit in host.limits())
    assert {NO_BLOCK_WEIGHTS, NOT_DRAWN_HERE} < set(host.limits())
    run = create_run(tmp_path / "runs", "penny", "")
    assert host.lend_model(run, lambda: None) is None
    ticket = read_ticket(run.path)
    assert (ticket.way, lacks in ticket.reason) == (FILE, True)
    assert (host.lend_gpu("auto"), host.gpu_is_wanted(), host.plot_drawer(), dict(host.txt2img_form())) == (
        None, None, None, {})
    assert [file.title for file in host.checkpoints()] == ["first.safetensors", "second.safetensors"]
    assert [file.title for file in host.vaes()] == ["sharp.safetensors"]
    assert host.checkpoint() is None or host.checkpoint().path == tmp_path / "first.safetensors"
    assert host.access().refused is None and host.device() == "cuda:0" and host.clip_skip() == 1
    host.refresh_loras()


def test_a_folder_that_git_left_behind_is_no_forge(monkeypatch, tmp_path):
    (tmp_path / "left" / "modules_forge" / "__pycache__").mkdir(parents=True)
    become(monkeypatch, tmp_path / "left")
    assert host_of_this_process().name == "Stable Diffusion webui"


def test_without_lists_an_unknown_webui_reads_its_folders(monkeypatch, tmp_path):
    for name in ("model_data", "checkpoints_list", "checkpoint_aliases"):
        monkeypatch.delattr(sd_models, name)
    monkeypatch.setitem(sys.modules, "modules.sd_vae", None)  # cannot be imported
    monkeypatch.delattr(modules, "sd_vae")
    for name in ("data_path", "models_path"):
        monkeypatch.delattr(paths, name)
    monkeypatch.setattr(paths, "script_path", str(tmp_path), raising=False)
    monkeypatch.setattr(shared.cmd_opts, "lora_dir", None)
    for name in ("Stable-diffusion/xl/pony.safetensors", "Stable-diffusion/notes.txt", "VAE/sharp.ckpt"):
        (tmp_path / "models" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "models" / name).touch()
    host = host_of_this_process()
    assert [file.title for file in host.checkpoints()] == ["xl/pony.safetensors"]
    assert host.checkpoints()[0].path.is_file()
    assert [file.title for file in host.vaes()] == ["sharp.ckpt"]
    assert host.checkpoint() is None and host.vae() is None
    assert (host.data_dir, host.lora_dir) == (tmp_path, tmp_path / "models" / "Lora")


@pytest.mark.parametrize("option", ["listen", "share", "ngrok", "server_name"])
def test_an_unknown_webui_that_others_can_reach_and_has_no_rule_refuses(monkeypatch, option):
    monkeypatch.delattr(sd_models, "send_model_to_cpu")
    monkeypatch.delattr(shared.cmd_opts, "disable_extension_access")
    assert host_of_this_process().access().refused is None
    monkeypatch.setattr(shared.cmd_opts, option, "yes", raising=False)
    assert "other machines" in host_of_this_process().access().refused
