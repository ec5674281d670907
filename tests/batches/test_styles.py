"""Keyword and dreambooth style: where captions come from, and the pictures of the regularization folder."""

from __future__ import annotations

import pytest

from lib_lora_train.batches.overview import overview
from lib_lora_train.batches.plan import plan_of
from lib_lora_train.batches.summary import summarize
from lib_lora_train.config.groups.training import TrainingSettings
from lib_lora_train.errors import DatasetError
from lib_lora_train.pictures.scan import scan_dataset

from ..pictures.making import noise, save, settings


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b", "c"):
        save(tmp_path / "set" / "2_penny" / f"{name}.png", noise(64, 64), caption=f"penny, {name}")
    save(tmp_path / "set" / "reg" / "1_girl" / "b.png", noise(64, 64), caption="1girl, b")
    for name in ("x", "y"):
        save(tmp_path / "set" / "reg" / "1_girl" / f"{name}.png", noise(64, 64))
    return tmp_path / "set"


def texts(dataset, level):
    return " ".join(problem.text for problem in dataset.problems if problem.level == level)


def test_the_folders_name_can_be_made_the_caption(folder):
    (folder / "2_penny" / "c.txt").write_bytes(b"\xff not read")
    dataset = scan_dataset(settings(folder, use_folder_name=True))
    assert {(picture.caption, picture.caption_source) for picture in dataset.pictures} == {("penny", "folder")}
    own = scan_dataset(settings(folder / "reg" / "1_girl", use_folder_name=True))
    assert {picture.caption for picture in own.pictures} == {"girl"}


def test_without_a_name_the_activation_tag_is_used_or_it_is_an_error(folder):
    plain = (folder / "2_penny").rename(folder.parent / "plain")
    dataset = scan_dataset(settings(plain, use_folder_name=True, activation_tag="penny"))
    assert {picture.caption for picture in dataset.pictures} == {"penny"}
    with pytest.raises(DatasetError, match="no folder is named like 10_penny"):
        scan_dataset(settings(plain, use_folder_name=True))


def test_regularization_pictures_are_found_balanced_and_summed_up(folder):
    values = settings(folder, reg_data_dir=str(folder / "reg"), activation_tag="penny")
    dataset = scan_dataset(values)
    assert [(picture.path.name, picture.caption, picture.regularization) for picture in dataset.regularization] == \
        [("b.png", "1girl, b", True), ("x.png", "girl", True), ("y.png", "girl", True)]
    assert not any(picture.regularization for picture in dataset.pictures)
    assert dataset.left_out == ()
    plan = plan_of(values, dataset, TrainingSettings())
    # b.png has a partner and is seen twice like it; 2 + 1 + 1 images seen are two too few for 3 x 2
    assert [(picture.path.name, picture.repeats) for picture in plan.pictures[3:]] == \
        [("b.png", 3), ("x.png", 2), ("y.png", 1)]
    summary = summarize(dataset, plan, values)
    assert [(item.name, item.repeats, item.pictures) for item in summary.regularization_folders] == [("1_girl", 1, 3)]
    assert [(item.name, item.repeats, item.pictures) for item in summary.folders] == [("2_penny", 2, 3)]
    assert (summary.regularization_images, summary.held_out) == (6, 0)
    assert list(summary.tag_frequency) == ["2_penny"]


def test_the_overview_shows_how_the_pictures_balance(folder):
    found = overview(folder, settings(folder, reg_data_dir=str(folder / "reg")))
    notes = " ".join(problem["text"] for problem in found["problems"] if problem["level"] == "note")
    assert "3 of 3 regularization images are used: 6 images seen per epoch, next to 6 of yours." in notes
    values = settings(folder, reg_data_dir=str(folder / "reg"))
    plan = plan_of(values, scan_dataset(values), TrainingSettings())
    assert (sum(picture.repeats for picture in plan.pictures), plan.training_images_per_epoch) == (12, 6)


def test_regularization_pictures_without_any_caption_never_get_the_activation_tag(folder):
    bare = (folder / "reg" / "1_girl").rename(folder.parent / "class")
    (bare / "b.txt").unlink()
    dataset = scan_dataset(settings(folder, reg_data_dir=str(bare), activation_tag="penny"))
    assert {(picture.caption, picture.repeats) for picture in dataset.regularization} == {("", 1)}
    assert "3 regularization images without a caption or a folder named like 1_girl" in texts(dataset, "warning")


def test_a_reg_folder_that_nobody_names_is_reported(folder):
    dataset = scan_dataset(settings(folder))
    assert [(item.path.name, item.reason) for item in dataset.left_out] == \
        [("reg", "it is only used if reg_data_dir names it")]
    assert dataset.regularization == ()


def test_a_regularization_folder_without_pictures_is_an_error(folder, tmp_path):
    (tmp_path / "void").mkdir()
    with pytest.raises(DatasetError, match="void"):
        scan_dataset(settings(folder, reg_data_dir=str(tmp_path / "void")))


def test_lines_are_kept_for_wildcards_and_only_then_not_warned_of(folder):
    (folder / "2_penny" / "a.txt").write_text("penny, red\npenny, blue\n")
    assert "more than one line" in texts(scan_dataset(settings(folder)), "warning")
    dataset = scan_dataset(settings(folder, enable_wildcard=True))
    assert "more than one line" not in texts(dataset, "warning")
    assert dataset.pictures[0].caption_lines == ("penny, red", "penny, blue")
