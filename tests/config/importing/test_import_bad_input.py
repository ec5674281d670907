"""Input that cannot be read is a sentence that says where and what to do."""

from __future__ import annotations

import contextlib
import json
import time

import pytest

from lib_lora_train.config.importing.places import LocalPlaces
from lib_lora_train.config.importing.read import read_settings_file
from lib_lora_train.errors import ConfigError

from .reading import read

COMMAND = "accelerate launch train_network.py --network_dim=8 --resolution=512"


@pytest.mark.parametrize("text, words", [
    ('network_dim = 8\nnetwork_alpha = = 4\nresolution = "512"\n', "line 2"),
    ('[network]\nnetwork_dim = 8\nnetwork_dim = 9\n', "TOML cannot be read"),
    ('[[datasets]]\n[[datasets.subsets\nimage_dir = "x"\n', "line 2"),
    (json.dumps({"LoRA_type": "Standard", "network_dim": 8})[:-4], "line 1, column"),
    ('{"LoRA_type": "Standard",\n "network_dim": 8,,}', "line 2, column"),
    ('{"network_dim": NaN, "LoRA_type": ""}', "JSON cannot be read"),
    (f'{COMMAND} \\\n --output_name="penny\n', "quote \" of line 2 is never closed"),
    (f"$x = 1\n{COMMAND} `\n --output_name='penny\n", "quote ' of line 3 is never closed"),
    ("", "nothing to read"),
    ("   \n\t", "nothing to read"),
    ("Dear diary, today I trained.", "format of these settings is unknown"),
    ('{"title": "a recipe", "salt": 1}', "not from a supported program"),
    ('title = "a recipe"\nsalt = 1\n', "no settings that are known"),
    ("network:\n  - [unclosed\n", "YAML cannot be read"),
    ("x" * 1_000_001, "too long"),
    ("[" * 5000, "is unknown"),
    ("a = " + "[" * 5000, "TOML"),
    ('{"LoRA_type": ' + "[" * 5000, "JSON")])
def test_text_that_cannot_be_read(text, words):
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize("content, words", [
    (bytes(range(256)) * 20, "is not a text"), (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is not a text"),
    (b"x" * 10_000_000, "too long")])
def test_files_that_are_no_settings(tmp_path, content, words):
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        read_settings_file(path, LocalPlaces(tmp_path))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_settings_file(tmp_path / "missing.toml", LocalPlaces(tmp_path))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_text_files_as_windows_saves_them(tmp_path, encoding):
    path = tmp_path / "train.ps1"
    path.write_bytes(f'$name = "pénny"\r\n{COMMAND} --output_name=$name `\r\n --seed=5\r\n'.encode(encoding))
    values = read_settings_file(path, LocalPlaces(tmp_path)).values
    assert (values["save"]["output_name"], values["training"]["seed"]) == ("pénny", 5)


@pytest.mark.parametrize("value", [{"a": 1}, [1, [2]], None, True, "NaN", "1e999", -5, "'; rm -rf /", "\0", 10 ** 400])
@pytest.mark.parametrize("name", ["network_dim", "network_alpha", "learning_rate", "max_resolution", "optimizer",
                                  "caption_extension", "LoRA_type", "lr_warmup", "epoch", "sample_prompts",
                                  "text_encoder_lr", "train_data_dir", "conv_dim", "block_dims", "optimizer_args"])
def test_values_of_the_wrong_kind_are_answered_not_raised(name, value):
    imported = read(json.dumps({"LoRA_type": "Kohya LoCon", "network_dim": 8, name: value}))
    assert imported.answers


def test_paths_are_those_of_this_machine_or_named(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "1.png").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    script = tmp_path / "train.sh"
    script.write_text(f"{COMMAND} --train_data_dir=set --reg_data_dir=empty --vae=missing.pt\n")
    imported = read_settings_file(script, LocalPlaces(tmp_path))
    assert imported.values["dataset"]["train_data_dir"] == str(tmp_path / "set")
    reasons = {answer.option: answer.reason for answer in imported.answers}
    assert "missing.pt" in reasons["--vae"]
    assert "empty" in reasons["--reg_data_dir"]


@pytest.mark.parametrize("text", [
    "$(" * 90_000 + " --network_dim=8", "${" * 90_000 + " --network_dim=8", "if " + "a " * 90_000 + "--network_dim=8",
    "[[" + "a|" * 90_000 + " --network_dim=8", f"{COMMAND} " + "--x=$y " * 20_000, "`" * 180_000 + "--network_dim=8",
    "\n" * 990_000, f"{COMMAND}\n" + " \n" * 490_000, f"{COMMAND} " + "- " * 90_000, "set \n" * 190_000,
    "x=1\n" + 'x="$x$x"\n' * 60 + f"{COMMAND} --output_name=$x", "a = {" * 40_000, "[a." + "b." * 90_000 + "c]\nx = 1"])
def test_hostile_texts_are_answered_in_little_time(text):
    began = time.process_time()
    with contextlib.suppress(ConfigError):
        read(text)
    assert time.process_time() - began < 10
