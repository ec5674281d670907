"""A LoRA file to go on from: the list of them, what each says of itself, and how it comes into the job."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import pytest

from tests.standin.lora_file import LAYER, write_lora

from ..test_nonsense import NONSENSE

METADATA = {"ss_sd_model_name": "nai.safetensors", "ss_base_model_version": "sd_v1", "ss_epoch": "8",
            "ss_steps": "960", "ss_tag_frequency": json.dumps({"2_penny": {"penny": 20, "smile": 3, "hat": 9}}),
            "modelspec.trigger_phrase": "pennyfox", "long": "x" * 1000}


@pytest.fixture
def loras(tab) -> Path:
    return tab.services.host.lora_dir


def test_the_list_has_every_lora_the_newest_first(tab, loras):
    for age, name in enumerate(("new", "sub/penny-000004", "old ä")):
        path = write_lora(loras / f"{name}.safetensors", {})
        os.utime(path, (1e9 - age, 1e9 - age))
    (loras / "note.txt").write_text("no LoRA")
    assert tab.get("lora/files").json() == {"names": ["new", "sub/penny-000004", "old ä"]}


@pytest.mark.parametrize("name", ["sub/penny", "sub/penny.safetensors"])
def test_a_file_says_what_it_is_and_how_it_was_trained(tab, loras, name):
    write_lora(loras / "sub" / "penny.safetensors", METADATA)
    info = tab.get("lora/info", name=name).json()
    assert info["words"] == "LoRA-LierLa, dim 8 and alpha 4"
    assert (info["dim"], info["alpha"], info["unet_layers"], info["text_encoder_layers"]) == (8, 4.0, 1, 0)
    assert (info["base_model"], info["family"], info["epochs"], info["steps"]) == ("nai.safetensors", "SD 1.x", 8, 960)
    assert (info["activation_tag"], info["tags"]) == ("pennyfox", ["penny", "hat", "smile"])
    assert info["settings"]["network_dim"] == 8 and info["problem"] is None
    assert len(info["metadata"]["long"]) < 400


def test_the_webuis_card_knows_the_activation_tag_best(tab, loras):
    path = write_lora(loras / "penny.safetensors", METADATA)
    path.with_suffix(".json").write_text(json.dumps({"activation text": "penny, fox"}))
    assert tab.get("lora/info", name="penny").json()["activation_tag"] == "penny, fox"
    path.with_suffix(".json").write_text("[broken")
    assert tab.get("lora/info", name="penny").json()["activation_tag"] == "pennyfox"


def test_what_cannot_be_trained_is_said_before_it_starts(tab, loras):
    write_lora(loras / "tucker.safetensors", {}, {f"{LAYER}.lora_mid.weight": (8, 8, 3, 3)})
    assert "Tucker" in tab.get("lora/info", name="tucker").json()["problem"]
    checked = tab.post("job/check", {"job": tab.job() | {"network": {"network_weights": "tucker"}}}).json()
    assert any("network.network_weights" in problem and "Tucker" in problem for problem in checked["problems"])


def test_the_job_gets_the_whole_path_and_the_size_of_the_file(tab, loras):
    path = write_lora(loras / "penny.safetensors", METADATA)
    for given in ("penny", str(path)):
        answer = tab.post("job/check", {"job": tab.job("other") | {"network": {"network_weights": given}}}).json()
        assert answer["problems"] == []
        assert answer["file_size_bytes"] == pytest.approx(path.stat().st_size / 2, abs=6000)  # saved as fp16


def test_a_lora_for_another_family_is_reported_before_the_run_starts(tab, loras):
    layer = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"
    header = json.dumps({layer: {"dtype": "F16", "shape": [320, 320], "data_offsets": [0, 204800]}}).encode()
    tab.services.host.checkpoint().path.write_bytes(struct.pack("<Q", len(header)) + header)
    write_lora(loras / "big.safetensors", {}, {f"lora_te2_text_model_encoder_layers_0_mlp_fc1.{side}": (8, 8)
                                               for side in ("lora_down.weight", "lora_up.weight")})
    write_lora(loras / "fine.safetensors", {})
    for name, reported in (("big", True), ("fine", False)):
        answer = tab.post("job/check", {"job": tab.job() | {"network": {"network_weights": name}}}).json()
        assert answer["blocks"] == "sd1"
        mismatch = "made for SDXL, but the checkpoint is SD 1.x"
        assert any(mismatch in problem for problem in answer["problems"]) == reported


@pytest.mark.parametrize("name", ["../../secret", "gone", "/etc/passwd", "sub"])
def test_other_files_are_refused(tab, loras, name):
    write_lora(loras.parent.parent / "secret.safetensors", {})
    (loras / "sub").mkdir()
    answer = tab.get("lora/info", name=name)
    assert answer.status_code == 400 and "there is no such LoRA" in answer.json()["error"]
    checked = tab.post("job/check", {"job": tab.job() | {"network": {"network_weights": name}}}).json()
    assert any("network.network_weights" in problem for problem in checked["problems"])


def test_nonsense_and_damaged_files_are_answered_in_sentences(tab, loras):
    for nonsense in NONSENSE:
        if isinstance(nonsense, str) and "\ud83d" not in nonsense:
            assert tab.get("lora/info", name=nonsense).status_code == 400, nonsense
    for number, content in enumerate((b"", b"abc", b"\xff" * 50, struct.pack("<Q", 2) + b"[]",
                                      struct.pack("<Q", 12) + b'{"a": "oops"}')):
        (loras / f"{number}.safetensors").write_bytes(content)
        answer = tab.get("lora/info", name=str(number))
        assert answer.status_code == 400, answer.text
        assert f"{number}.safetensors" in answer.json()["error"]
