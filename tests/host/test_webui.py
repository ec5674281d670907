"""What the host says of the webui."""

from __future__ import annotations

import sys
from pathlib import Path

from modules import paths, sd_models, sd_vae, shared


def test_the_loaded_checkpoint_and_vae_are_named_with_their_files(webui, tmp_path):
    assert webui.checkpoint().title == "first.safetensors"
    assert webui.checkpoint().path == tmp_path / "first.safetensors"
    assert webui.vae() is None
    sd_vae.loaded_vae_file = str(tmp_path / "sharp.vae.pt")
    assert webui.vae().title == "sharp.vae.pt"


def test_before_a_model_is_loaded_the_one_in_the_settings_is_named_and_not_loaded(webui, tmp_path):
    sd_models.model_data = sd_models.SdModelData()
    shared.opts.sd_model_checkpoint = "second.safetensors"
    assert webui.checkpoint().path == tmp_path / "second.safetensors"
    assert sd_models.model_data.sd_model is None
    shared.opts.sd_model_checkpoint = "gone.safetensors"
    assert webui.checkpoint() is None


def test_the_lists_are_the_webuis(webui):
    sd_vae.vae_dict["sharp.pt"] = "/vaes/sharp.pt"
    assert [file.title for file in webui.checkpoints()] == ["first.safetensors", "second.safetensors"]
    assert [(file.title, file.path) for file in webui.vaes()] == [("sharp.pt", Path("/vaes/sharp.pt"))]


def test_without_the_lora_extension_its_usual_folder_is_used(webui, monkeypatch):
    monkeypatch.setattr(shared.cmd_opts, "lora_dir", None)
    assert webui.lora_dir == Path(paths.models_path) / "Lora"
    monkeypatch.delitem(sys.modules, "networks", raising=False)
    webui.refresh_loras()


def test_passwords_of_api_auth_may_hold_colons(webui, monkeypatch):
    monkeypatch.setattr(shared.cmd_opts, "api_auth", "me:a:b,you:c")
    assert webui.access().api_passwords == {"me": "a:b", "you": "c"}
