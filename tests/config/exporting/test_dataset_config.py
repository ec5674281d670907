"""Folders with settings of their own are exported as a dataset configuration, and imported again."""

from __future__ import annotations

import pytest
from PIL import Image

from lib_lora_train.config.exporting.formats import COMMAND, POWERSHELL, TOML, YAML, export_text
from lib_lora_train.config.exporting.sd_scripts import SD1, SD2, SDXL
from lib_lora_train.config.importing.places import LocalPlaces
from lib_lora_train.config.importing.read import read_settings, read_together
from lib_lora_train.config.importing.toml_text import read_toml
from lib_lora_train.config.load import job_from
from lib_lora_train.pictures.folders import folders_to_export
from lib_lora_train.pictures.scan import survey

from ..importing.reading import Machine
from .test_round_trip import BASE, differences, job

FILE = "penny_dataset.toml"


@pytest.fixture
def images(tmp_path):
    """A function that makes folders with an image each."""
    def make(*names):
        for name in names:
            folder = tmp_path / name
            folder.mkdir(parents=True)
            Image.new("RGB", (64, 64)).save(folder / "a.png")
            (folder / "a.txt").write_text("a tag")
        return tmp_path
    return make


def back(exported, there):
    places = Machine([*there, *(BASE[key] for key in ("base.checkpoint", "save.output_dir"))])
    return job_from(read_together({"train.sh": exported.text, **exported.files}, places).values)


@pytest.mark.parametrize("family", [SD1, SD2, SDXL])
@pytest.mark.parametrize("wanted", [COMMAND, POWERSHELL, TOML])
@pytest.mark.parametrize("lines, settings", [
    (["10_red hat: dataset_repeats=3 keep_tokens=2 flip_aug=true"], {}),
    (["10_red hat: keep_tokens=0", "5_blue: flip_aug=false"], {"dataset.flip_aug": True, "dataset.keep_tokens": 2}),
    (["10_red hat: keep_tokens=2", "5_blue: keep_tokens=2"], {}),
    (["5_blue: dataset_repeats=1"], {"dataset.dataset_repeats": 4})])
def test_settings_of_folders_come_back(images, family, wanted, lines, settings):
    root = images("set/10_red hat", "set/5_blue", "reg/1_girl", "reg/2_dog")
    one = job(**{"dataset.train_data_dir": str(root / "set"), "dataset.reg_data_dir": str(root / "reg"),
                 "dataset.concept_settings": lines, **settings})
    exported = export_text(one, wanted, family, folders_to_export(one.dataset))
    assert list(exported.files) == [FILE]
    assert not any("concept_settings" in note for note in exported.notes)
    assert differences(one, back(exported, [str(root / "set"), str(root / "reg")])) == {}


def test_the_configuration_says_what_is_trained(images):
    root = images("set/10_red_hat", "set/5_blue", "set/rest", "reg/2_girl")
    one = job(**{"dataset.train_data_dir": str(root / "set"), "dataset.reg_data_dir": str(root / "reg"),
                 "dataset.concept_settings": ["5_blue: dataset_repeats=7 keep_tokens=2"]})
    exported = export_text(one, COMMAND, SD1, folders_to_export(one.dataset))
    assert read_toml(exported.files[FILE]) == {"general": {"keep_tokens": 1}, "datasets": [{"subsets": [
        {"image_dir": str(root / "set/10_red_hat"), "num_repeats": 10, "class_tokens": "red hat"},
        {"image_dir": str(root / "set/5_blue"), "num_repeats": 7, "class_tokens": "blue", "keep_tokens": 2},
        {"image_dir": str(root / "reg/2_girl"), "num_repeats": 2, "class_tokens": "girl", "is_reg": True}]}]}
    assert f"--dataset_config={FILE}" in exported.text
    assert "data_dir" not in exported.text  # sd-scripts ignores it beside a dataset configuration


@pytest.mark.parametrize("settings", [{}, {"dataset.dataset_repeats": 3},
                                      {"dataset.concept_settings": ["penny: keep_tokens=3 flip_aug=true"]}])
def test_a_folder_without_numbered_folders_needs_one(images, settings):
    """sd-scripts would find no images in it."""
    root = images("penny", "girl")
    one = job(**{"dataset.train_data_dir": str(root / "penny"), "dataset.reg_data_dir": str(root / "girl"), **settings})
    exported = export_text(one, TOML, SDXL, folders_to_export(one.dataset))
    assert differences(one, back(exported, [str(root / "penny"), str(root / "girl")])) == {}


def test_a_single_numbered_folder_is_trained_in_the_same_way(images):
    root = images("set/10_penny")
    one = job(**{"dataset.train_data_dir": str(root / "set"), "dataset.concept_settings": ["10_penny: keep_tokens=4"]})
    exported = export_text(one, COMMAND, SD1, folders_to_export(one.dataset))
    again = back(exported, [str(root / "set" / "10_penny")])
    assert again.dataset.train_data_dir == str(root / "set" / "10_penny")
    assert set(differences(one, again)) == {"dataset.train_data_dir"}
    assert survey(again.dataset).pictures == survey(one.dataset).pictures


def test_numbered_folders_alone_need_none(images):
    root = images("set/10_penny", "reg/1_girl")
    one = job(**{"dataset.train_data_dir": str(root / "set"), "dataset.reg_data_dir": str(root / "reg")})
    exported = export_text(one, COMMAND, SD1, folders_to_export(one.dataset))
    assert exported.files == {}
    assert f"--reg_data_dir={root / 'reg'}" in exported.text


def test_a_job_has_them_itself(images):
    root = images("set/10_penny")
    one = job(**{"dataset.train_data_dir": str(root / "set"), "dataset.concept_settings": ["10_penny: keep_tokens=4"]})
    assert export_text(one, YAML, SD1, folders_to_export(one.dataset)).files == {}


@pytest.mark.parametrize("folder, there", [("/sets/all", "/sets/all"), ("D:\\sets\\all", "D:\\sets\\all")])
def test_folders_of_another_machine_are_those_of_the_lines(folder, there):
    one = job(**{"dataset.train_data_dir": folder, "dataset.concept_settings": ["10_red: keep_tokens=2",
                                                                              "5_blue: flip_aug=true"],
                 "dataset.reg_data_dir": f"{folder}_reg"})
    exported = export_text(one, TOML, SD1, folders_to_export(one.dataset))
    assert any("Add a subset for each of the others" in note for note in exported.notes)
    assert any("dataset.reg_data_dir" in note for note in exported.notes)
    assert differences(one, back(exported, [there, f"{there}_reg"])) == {}


def test_a_line_for_a_folder_that_is_not_there_is_reported(images):
    root = images("set/10_penny")
    one = job(**{"dataset.train_data_dir": str(root / "set"), "dataset.concept_settings": ["10_penyn: keep_tokens=4"]})
    assert any("10_penyn" in note for note in export_text(one, TOML, SD1, folders_to_export(one.dataset)).notes)


def test_the_files_are_read_from_where_they_were_written(images):
    root = images("set/10_red", "set/5_blue")
    one = job(**{"dataset.train_data_dir": str(root / "set"), "dataset.concept_settings": ["5_blue: flip_aug=true"]})
    exported = export_text(one, TOML, SD1, folders_to_export(one.dataset))
    for name, text in exported.files.items():
        (root / name).write_text(text)
    values = read_settings(exported.text, LocalPlaces(root)).values
    assert values["dataset"]["concept_settings"] == ["5_blue: flip_aug=true"]


def test_weights_that_sd_scripts_does_not_read_are_named(images):
    root = images("set/10_red_hat")
    (root / "set/10_red_hat/a.weight.json").write_text('{"weight": 0.5}')
    one = job(**{"dataset.train_data_dir": str(root / "set"),
                 "dataset.concept_settings": ["10_red_hat: loss_weight=0.5"]})
    notes = " ".join(export_text(one, COMMAND, SD1, folders_to_export(one.dataset)).notes)
    assert "1 .weight.json files" in notes and "gives 10_red_hat the loss weight 0.5" in notes
