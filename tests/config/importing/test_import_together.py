"""Files that belong together, and files as Windows saves them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_lora_train.config.importing.places import LocalPlaces
from lib_lora_train.config.importing.read import read_settings_file, read_together
from lib_lora_train.errors import ConfigError

CONFIG = 'network_dim = 12\nlearning_rate = 0.0003\nmax_train_epochs = 3\n'
DATASET = ('[general]\nkeep_tokens = 2\n[[datasets]]\nresolution = 640\n[[datasets.subsets]]\nimage_dir = "/nowhere"\n'
           'num_repeats = 4\n')
COMMAND = 'accelerate launch train_network.py --config_file "C:\\x\\config.toml" --dataset_config=D:/y/data.toml'


def values_of(files):
    return read_together(files, LocalPlaces(Path("/nowhere"))).values


@pytest.mark.parametrize("files", [
    {"train.ps1": COMMAND, "config.toml": CONFIG, "data.toml": DATASET},
    {"data.toml": DATASET, "CONFIG.toml": CONFIG, "text 3": COMMAND},
    {"config.toml": CONFIG, "my data.toml": DATASET}, {"text 1": DATASET, "text 2": CONFIG},
    {"config.toml": CONFIG + 'dataset_config = "old/data.toml"\n', "data (1).toml": DATASET},
    {"config.toml": "\ufeff" + CONFIG.replace("\n", "\r\n"), "data.toml": "\ufeff" + DATASET.replace("\n", "\r\n")}])
def test_files_that_belong_together_are_read_together(files):
    values = values_of(files)
    assert values["network"]["network_dim"] == 12 and values["training"]["max_train_epochs"] == 3
    assert values["dataset"]["resolution"] == "640" and values["dataset"]["keep_tokens"] == 2


def test_a_file_that_nothing_names_is_answered_for():
    answers = read_together({"config.toml": CONFIG, "notes.toml": "a = 1"}, LocalPlaces(Path("/nowhere"))).answers
    assert any(answer.option == "notes.toml" and "No other file names it" in answer.reason for answer in answers)


@pytest.mark.parametrize("files, name", [({"a.toml": CONFIG, "b.toml": "[[datasets]]\nx = "}, "b.toml"),
                                         ({"a.toml": "x = = 1", "b.toml": DATASET}, "a.toml")])
def test_a_damaged_file_among_several_is_named(files, name):
    with pytest.raises(ConfigError, match=rf"^{name}: The TOML cannot be read"):
        read_together(files, LocalPlaces(Path("/nowhere")))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom", "cp1252"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_files_as_windows_saves_them(tmp_path, encoding, ends):
    """PowerShell 5 writes UTF-16 by `>`; Notepad a byte order mark; both end lines with a carriage return."""
    text = ('\t# größe\npretrained_model_name_or_path = \'C:\\models\\x.safetensors\'\n\tnetwork_dim = 12\n'
            'learning_rate = 0.0003\n').replace("\n", ends)
    data = b"\xff\xfe" + text.encode("utf-16-le") if encoding == "utf-16-le-bom" else text.encode(encoding)
    (tmp_path / "x.toml").write_bytes(data)
    found = read_settings_file(tmp_path / "x.toml", LocalPlaces(tmp_path))
    assert found.values["network"]["network_dim"] == 12
    assert any("x.safetensors" in str(answer.value) for answer in found.answers)


def test_windows_paths_whose_backslashes_are_no_toml_are_a_sentence(tmp_path):
    (tmp_path / "x.toml").write_text('pretrained_model_name_or_path = "C:\\users\\x"\nnetwork_dim = 12\n')
    with pytest.raises(ConfigError, match=r"TOML cannot be read.*single quotes"):
        read_settings_file(tmp_path / "x.toml", LocalPlaces(tmp_path))
