"""Settings that are brought into the tab and out of it, and presets of one's own."""

from __future__ import annotations

import json
import shutil

import pytest

from lib_lora_train.config.text_yaml import read_yaml, write_yaml
from tests.standin.lora_file import write_lora

from ..test_nonsense import NONSENSE

COMMAND = "accelerate launch train_network.py --network_module=networks.lora --network_dim=24 --network_alpha=8 "


def read(tab, **body):
    answer = tab.post("import", body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(tab, route, body):
    answer = tab.post(route, body)
    assert answer.status_code == 400, answer.text
    return answer.json()["error"]


def test_a_pasted_command_finds_its_paths_in_the_webui(tab):
    checkpoint = tab.services.host.checkpoints()[0].path
    report = read(tab, text=f"{COMMAND} --pretrained_model_name_or_path='X:\\\\models\\\\{checkpoint.name.upper()}' "
                            f"--train_data_dir='{tab.dataset}' --output_dir=/elsewhere --vae=gone.pt --xformers")
    assert report["values"]["base"]["checkpoint"] == str(checkpoint)
    assert report["values"]["dataset"]["train_data_dir"] == str(tab.dataset)
    answers = {answer["option"]: answer for answer in report["answers"]}
    assert answers["--pretrained_model_name_or_path"]["answer"] == "changed"
    assert str(tab.services.host.lora_dir) in answers["--output_dir"]["reason"]
    assert "gone.pt" in answers["--vae"]["reason"]
    assert answers["--xformers"]["answer"] == "not needed"
    assert report["partial"] is False


def test_what_was_imported_can_be_trained(tab):
    report = read(tab, text=f"{COMMAND} --train_data_dir='{tab.dataset}' --resolution=512 --max_train_epochs=2 "
                            "--caption_extension=.txt --output_name=penny --save_every_n_epochs=1")
    answer = tab.post("job/check", {"job": report["values"]})
    assert answer.json()["problems"] == []
    run = tab.post("runs", {"job": report["values"]}).json()["id"]
    assert tab.wait_for(run, "finished")["state"] == "finished"


def test_no_file_is_read_because_a_text_names_it(tab, tmp_path):
    (tmp_path / "job.toml").write_text("network_dim = 99\n")
    (tmp_path / "prompts.txt").write_text("a secret\n")
    report = read(tab, text=f"{COMMAND} --config_file={tmp_path / 'job.toml'} "
                            f"--sample_prompts={tmp_path / 'prompts.txt'}")
    assert report["values"]["network"]["network_dim"] == 24
    assert "a secret" not in json.dumps(report)


def test_a_lora_of_the_webui_and_the_metadata_of_a_file(tab):
    metadata = {"ss_network_dim": "64", "ss_network_alpha": "32", "ss_optimizer": "lion", "ss_num_epochs": "3"}
    write_lora(tab.services.host.lora_dir / "old.safetensors", metadata)
    values = read(tab, lora="old")["values"]
    assert values["network"]["network_dim"] == 8  # the tensors say it
    assert values["optimizer"]["optimizer_type"] == "Lion"
    assert read(tab, metadata=metadata)["values"]["network"]["network_dim"] == 64


@pytest.mark.parametrize("body, words", [
    ({"text": ""}, "nothing to read"), ({"text": "hello"}, "format of these settings is unknown"),
    ({"text": "network_dim = = 3\nnetwork_alpha = 1\n"}, "line 1"), ({"text": '{"LoRA_type": "St'}, "line 1, column"),
    ({"text": f"{COMMAND} --output_name='penny"}, "never closed"), ({"text": "x" * 7_000_000}, "too long"),
    ({"metadata": {}}, "says nothing"), ({"lora": "nowhere"}, "there is no such LoRA"),
    ({"metadata": {"ss_x": "y" * 6_000_000}}, "too long")])
def test_what_cannot_be_read_is_a_sentence(tab, body, words):
    assert words in refused(tab, "import", body)


def test_a_paste_of_ten_megabytes_is_refused_with_a_sentence(tab):
    answer = tab.post("import", {"text": "x" * 10_000_000})
    assert (answer.status_code, "larger than 8 MB" in answer.json()["error"]) == (413, True)


@pytest.mark.parametrize("value", NONSENSE)
def test_nonsense_is_no_server_error(tab, value):
    for route, body in (("import", {"text": value}), ("import", {"files": {"a": value, "b": value}}),
                        ("import", {"files": value}), ("import", {"metadata": value}), ("import", {"lora": value}),
                        ("import", {"text": json.dumps({"LoRA_type": "Standard", "network_dim": value}, default=str)}),
                        ("export", {"job": value, "wanted": "toml"}), ("export", {"job": tab.job(), "wanted": value}),
                        ("export", {"job": {"network": {"network_dim": value}}, "wanted": "yaml"}),
                        ("own-presets", {"name": value, "values": {"network": {"network_dim": 8}}}),
                        ("own-presets", {"name": "x", "values": value}),
                        ("own-presets/rename", {"name": value, "new_name": "y"}),
                        ("own-presets/remove", {"name": value}), ("own-presets/file", {"name": value})):
        assert tab.post(route, body).status_code < 500, (route, body)


@pytest.mark.parametrize("wanted, words", [("sd-scripts", "accelerate launch"), ("powershell", "`\n"),
                                           ("toml", "network_dim = 24"), ("yaml", "network_dim: 24")])
def test_the_form_is_exported(tab, wanted, words):
    job = {**tab.job(), "network": {"network_dim": 24, "network_alpha": 8}, "training": {"fit_in_gb": 8}}
    answer = tab.post("export", {"job": job, "wanted": wanted}).json()
    assert words in answer["text"]
    assert answer["file_name"].startswith("penny.")
    assert any("fit_in_gb" in note for note in answer["notes"]) == (wanted != "yaml")


def test_settings_of_folders_are_exported_and_imported_again(tab):
    folder = tab.dataset.parent / "all"
    for name in ("2_red", "5_blue"):
        shutil.copytree(tab.dataset, folder / name)
    dataset = {"train_data_dir": str(folder), "keep_tokens": 1,
               "concept_settings": ["2_red: dataset_repeats=3 keep_tokens=2", "5_blue: flip_aug=true"]}
    exported = tab.post("export", {"job": {**tab.job(), "dataset": dataset}, "wanted": "sd-scripts"}).json()
    assert list(exported["files"]) == ["penny_dataset.toml"]
    values = read(tab, files={"train.sh": exported["text"], **exported["files"]})["values"]
    assert {name: values["dataset"][name] for name in dataset} == dataset


def test_presets_are_kept_renamed_shared_and_deleted(tab):
    values = {"network": {"network_dim": 48}, "save": {"output_name": "penny", "save_precision": "bf16"},
              "dataset": {"train_data_dir": str(tab.dataset)}}
    saved = tab.post("own-presets", {"name": "My style", "values": values}).json()["presets"]
    kept = {"network": {"network_dim": 48}, "save": {"save_precision": "bf16"}}
    assert saved == [{"name": "My style", "values": kept}]
    assert "already" in refused(tab, "own-presets", {"name": "my STYLE", "values": values})
    changed = {"network": {"network_dim": 64}}
    tab.post("own-presets", {"name": "My style", "values": changed, "replace": True})
    renamed = tab.post("own-presets/rename", {"name": "My style", "new_name": "Strich ä"}).json()["presets"]
    assert renamed == [{"name": "Strich ä", "values": changed}]
    shared = tab.post("own-presets/file", {"name": "Strich ä"}).json()
    assert read_yaml(shared["text"]) == {"network": {"network_dim": "64"}}
    report = read(tab, text=shared["text"])
    assert (report["partial"], report["values"]) == (True, changed)
    assert tab.get("own-presets").json()["presets"] == renamed
    assert tab.post("own-presets/remove", {"name": "Strich ä"}).json()["presets"] == []


@pytest.mark.parametrize("name", ["", "  ", "../up", "a/b", "a\\b", "con", "nul.txt", ".hidden", "end.", "x" * 200,
                                  "a\0b", "a:b"])
def test_names_that_are_no_file_names(tab, name):
    assert "cannot be the name of a preset" in refused(tab, "own-presets", {"name": name,
                                                                            "values": {"network": {"network_dim": 8}}})


@pytest.mark.parametrize("content", ["", "no: [closed", "network: 7\n", "network: {network_dim: 9999999}\n",
                                     "network: {gone: 1}\n", "\0", "base: {checkpoint: /etc/passwd}\n"])
def test_a_preset_file_that_others_have_damaged_holds_up_nothing(tab, content):
    folder = tab.services.runs_dir.parent / "presets"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "odd.yaml").write_text(content)
    (folder / "note.txt").write_text("no preset")
    presets = tab.get("own-presets").json()["presets"]
    assert all(preset["values"] == {} for preset in presets)
    assert refused(tab, "own-presets/rename", {"name": "gone", "new_name": "x"})


@pytest.mark.parametrize(("phase", "kept", "words"), [
    ({"name": "polish", "dataset": {"only_folders": ["1_best"], "resolution": "768"}},
     {"name": "polish", "dataset": {"resolution": "768"}}, "dataset.only_folders of phase 2 (polish)"),
    ({"dataset": {"concept_settings": ["1_best: dataset_repeats=3"]}}, {}, "dataset.concept_settings of phase 2"),
    ({"scheduler": {"lr_scheduler": "cosine"}}, {"scheduler": {"lr_scheduler": "cosine"}}, "")])
def test_a_preset_drops_what_training_phases_name_of_the_data_set_and_says_so(tab, phase, kept, words):
    values = {"training": {"phases": [{"epochs": 2, **phase}]}}
    answer = tab.post("own-presets", {"name": "Two phases", "values": values}).json()
    assert answer["presets"][0]["values"] == {"training": {"phases": [{"epochs": 2, **kept}]}}
    assert (words in answer["note"]) if words else answer["note"] == ""
    folder = tab.services.runs_dir.parent / "presets"  # of an earlier version
    (folder / "Two phases.yaml").write_text(write_yaml(values))
    assert tab.get("own-presets").json()["presets"] == answer["presets"]
