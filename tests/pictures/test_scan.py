"""What is in a folder: what is trained on, how often, with which caption, and what is skipped and why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lib_lora_train.errors import DatasetError
from lib_lora_train.pictures.folders import split_folder_name
from lib_lora_train.pictures.images import check_pictures
from lib_lora_train.pictures.scan import scan_dataset, survey

from .making import AVIF, noise, save, settings, truncate


def scan(folder, **values):
    return scan_dataset(settings(folder, **values))


def reasons(dataset):
    return {item.path.name: item.reason for item in dataset.left_out}


def texts(dataset, level):
    return " ".join(problem.text for problem in dataset.problems if problem.level == level)


def test_a_folder_as_it_is(tmp_path):
    for name in ("b.png", "A.JPG", "c.webp", "d.bmp", "e.jpeg"):
        save(tmp_path / name, noise(80, 60), caption=f"penny, {name}")
    (tmp_path / "f.avif").write_bytes(AVIF)
    (tmp_path / "f.txt").write_text("penny, f.avif")
    dataset = scan(tmp_path, dataset_repeats=3)
    assert [picture.path.name for picture in dataset.pictures] == \
        ["A.JPG", "b.png", "c.webp", "d.bmp", "e.jpeg", "f.avif"]
    assert all(picture.caption == f"penny, {picture.path.name}" for picture in dataset.pictures)
    assert {(picture.repeats, picture.caption_source, picture.concept) for picture in dataset.pictures} == \
        {(3, "file", "")}
    assert (dataset.pictures[0].width, dataset.pictures[0].height) == (80, 60)
    assert dataset.left_out == () and dataset.problems == ()


def test_concept_folders_bring_their_own_repeats(tmp_path):
    save(tmp_path / "10_penny" / "a.png", caption="penny, smile")
    save(tmp_path / "10_penny" / "b.png")
    save(tmp_path / "2_red_car" / "a.png", caption="car")
    dataset = scan(tmp_path, dataset_repeats=5)
    assert [(item.name, item.repeats, item.pictures) for item in dataset.concepts] == \
        [("penny", 10, 2), ("red car", 2, 1)]
    assert [(item.caption, item.caption_source, item.repeats) for item in dataset.pictures] == \
        [("penny, smile", "file", 10), ("penny", "folder", 10), ("car", "file", 2)]
    assert "1 image without a caption, for which the folder's name is used" in texts(dataset, "note")


def test_folders_that_are_not_trained_on_are_listed_with_what_that_costs(tmp_path):
    save(tmp_path / "1_penny" / "a.png")
    save(tmp_path / "1_penny" / "more" / "a.png")
    save(tmp_path / "reg" / "5_girl" / "a.png")
    save(tmp_path / "sketches" / "a.png")
    save(tmp_path / "sketches" / "b.png")
    save(tmp_path / "0_none" / "a.png")
    save(tmp_path / "loose.png")
    (tmp_path / "3_empty").mkdir()
    (tmp_path / "notes").mkdir()
    dataset = scan(tmp_path)
    assert [picture.path.name for picture in dataset.pictures] == ["a.png"]
    costs = {item.path.relative_to(tmp_path).as_posix(): item.pictures for item in dataset.left_out}
    assert costs == {"reg": 1, "sketches": 2, "0_none": 1, "3_empty": 0, ".": 1, "1_penny/more": 1}
    assert "such as 1_sketches" in reasons(dataset)["sketches"]
    assert reasons(dataset)["reg"] == "it is only used if reg_data_dir names it"


def test_the_number_of_the_folder_itself_counts_and_is_said(tmp_path):
    save(tmp_path / "10_penny" / "a.png", caption="penny")
    dataset = scan(tmp_path / "10_penny", dataset_repeats=2)
    assert [(item.name, item.repeats) for item in dataset.concepts] == [("penny", 10)]
    assert "10_penny, says that each image is seen 10 times" in texts(dataset, "note")


@pytest.mark.parametrize(("name", "expected"), [
    ("10_penny", (10, "penny")), ("1_red_car", (1, "red car")), ("5", (5, "")), ("5_", (5, "")), ("0_x", None),
    ("-1_x", None), ("penny", None), ("_penny", None), ("1.5_x", None), ("penny_10", None), ("٣_x", None)])
def test_folder_names(name, expected):
    assert split_folder_name(name) == expected


def test_one_level_too_high_is_answered_with_the_right_folder(tmp_path):
    save(tmp_path / "projects" / "set" / "10_penny" / "a.png")
    with pytest.raises(DatasetError) as caught:
        scan(tmp_path / "projects")
    assert f"Give {tmp_path / 'projects' / 'set'} as the dataset folder" in str(caught.value)


def test_a_subfolder_without_a_number_is_answered_with_both_ways_out(tmp_path):
    save(tmp_path / "penny" / "a.png")
    with pytest.raises(DatasetError) as caught:
        scan(tmp_path)
    assert f"1 image in {tmp_path / 'penny'}. Give that folder, or rename it to 1_penny" in str(caught.value)
    save(tmp_path / "tom" / "a.png")
    with pytest.raises(DatasetError, match=r"none of its folders \(penny, tom\) begins with a number"):
        scan(tmp_path)


@pytest.mark.parametrize(("make", "words"), [
    (lambda folder: None, "There is no folder .*missing"),
    (lambda folder: folder.mkdir(), "There are no images in .*missing, nothing that could be one"),
    (lambda folder: folder.write_text("x"), "missing is a file. Give the folder"),
    (lambda folder: (folder.mkdir(), (folder / "a.mp4").touch()), r"only files of other kinds \(a.mp4\)"),
])
def test_a_folder_with_nothing_to_train_on(tmp_path, make, words):
    make(tmp_path / "missing")
    with pytest.raises(DatasetError, match=words):
        scan(tmp_path / "missing")


def test_every_file_that_cannot_be_used_is_listed_with_its_reason(tmp_path):
    save(tmp_path / "good.png", caption="penny")
    save(tmp_path / "animated.gif", noise(seed=1), save_all=True, append_images=[noise(seed=2)])
    save(tmp_path / "moving.webp", noise(seed=1), save_all=True, append_images=[noise(seed=2)])
    save(tmp_path / "gif.png").write_bytes((tmp_path / "animated.gif").read_bytes())
    save(tmp_path / "tiny.png", noise(7, 7))
    truncate(save(tmp_path / "cut.jpg", noise(90, 90)), 0.02)
    (tmp_path / "zero.png").touch()
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / ".hidden.png").write_bytes((tmp_path / "good.png").read_bytes())
    (tmp_path / "clip.mp4").touch()
    (tmp_path / "scan.tiff").touch()
    (tmp_path / "lonely.txt").write_text("no image of this name")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    dataset = scan(tmp_path)
    assert [picture.path.name for picture in dataset.pictures] == ["good.png"]
    assert reasons(dataset) == {
        "animated.gif": "GIF files are not trained on; save it as PNG",
        "moving.webp": "it is animated; save the frame you want as PNG",
        "gif.png": "it is really a GIF file whatever its ending; save it as PNG",
        "tiny.png": "it is only 7x7 pixels",
        "cut.jpg": "it is truncated or damaged (Truncated File Read)",
        "zero.png": "the file is empty (0 bytes)",
        "text.jpg": "it is not an image, or its beginning is damaged",
        ".hidden.png": "it is a hidden file",
        "clip.mp4": ".mp4 files are not images",
        "scan.tiff": "TIFF files are not trained on; save it as PNG",
        "gone.png": "it is a link that leads nowhere",
    }


def test_files_of_one_strange_ending_are_reported_together(tmp_path):
    save(tmp_path / "good.png", caption="penny")
    for number in range(30):
        (tmp_path / f"{number}.mp4").touch()
    dataset = scan(tmp_path)
    assert [(item.path, item.reason, item.pictures) for item in dataset.left_out] == \
        [(tmp_path, ".mp4 files are not images (30 of them)", 0)]


def test_a_folder_whose_every_picture_is_damaged_names_them(tmp_path):
    (tmp_path / "a.png").write_text("no")
    (tmp_path / "b.png").touch()
    with pytest.raises(DatasetError) as caught:
        scan(tmp_path)
    assert "a.png: it is not an image" in str(caught.value) and "b.png: the file is empty" in str(caught.value)


def test_a_picture_cut_short_is_found_by_its_header_or_by_decoding_it(tmp_path):
    save(tmp_path / "a.png", caption="penny")
    for name in ("b.png", "c.jpg", "d.bmp", "e.webp"):
        truncate(save(tmp_path / name, noise(200, 200), caption="penny"), 0.7)
    dataset = scan(tmp_path)
    damaged = {problem.path.name for problem in check_pictures([picture.path for picture in dataset.pictures])}
    assert damaged >= {"b.png", "c.jpg", "d.bmp"}
    assert damaged | set(reasons(dataset)) == {"b.png", "c.jpg", "d.bmp", "e.webp"}


def test_size_is_that_of_the_upright_picture(tmp_path):
    from PIL import Image
    exif = Image.Exif()
    exif[0x0112] = 8
    save(tmp_path / "a.jpg", noise(80, 60), caption="penny", exif=exif.tobytes())
    picture = scan(tmp_path).pictures[0]
    assert (picture.width, picture.height) == (60, 80)


def test_alpha_is_known(tmp_path):
    save(tmp_path / "a.png", noise(32, 32, "RGBA"), caption="penny")
    save(tmp_path / "b.png", noise(32, 32), caption="penny")
    assert [picture.has_alpha for picture in scan(tmp_path).pictures] == [True, False]


def test_captions_in_other_files_and_cases(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "a.TXT").write_text("penny")
    save(tmp_path / "b.c.png")
    (tmp_path / "b.c.txt").write_text("penny, two dots")
    assert [picture.caption for picture in scan(tmp_path).pictures] == ["penny", "penny, two dots"]
    (tmp_path / "a.caption").write_text("other")
    assert scan(tmp_path, caption_extension=".caption").pictures[0].caption == "other"


def test_only_the_first_line_that_says_something_is_used_and_further_lines_are_reported(tmp_path):
    save(tmp_path / "a.png", caption="\n penny, red \nand a second line\n")
    save(tmp_path / "b.png", caption="penny\n\n")
    dataset = scan(tmp_path)
    assert [picture.caption for picture in dataset.pictures] == ["penny, red", "penny"]
    assert texts(dataset, "warning") == \
        "1 caption file with more than one line, of which only the first is used: a.txt."


def test_an_empty_caption_counts_as_none(tmp_path):
    save(tmp_path / "1_penny" / "a.png", caption=" \n")
    dataset = scan(tmp_path)
    assert (dataset.pictures[0].caption, dataset.pictures[0].caption_source) == ("penny", "folder")
    assert "1 caption file with nothing in it: a.txt" in texts(dataset, "warning")


def test_without_any_caption_the_activation_tag_serves(tmp_path):
    save(tmp_path / "a.png")
    dataset = scan(tmp_path, activation_tag=" penny ")
    assert (dataset.pictures[0].caption, dataset.pictures[0].caption_source) == ("penny", "activation_tag")


def test_no_captions_at_all_is_an_error_with_the_ways_out(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / "b.png")
    with pytest.raises(DatasetError, match="No image has a caption: there are no .txt files.*give a trigger word"):
        scan(tmp_path)
    (tmp_path / "a.caption").write_text("penny")
    with pytest.raises(DatasetError, match="set caption_extension to .caption"):
        scan(tmp_path)


def test_one_picture_without_a_caption_is_a_warning(tmp_path):
    save(tmp_path / "a.png", caption="penny")
    save(tmp_path / "b.png")
    dataset = scan(tmp_path)
    assert dataset.pictures[1].caption == ""
    assert "1 image without a caption, trained with an empty one: b.png" in texts(dataset, "warning")


def test_captions_that_are_not_utf8_are_all_named_at_once(tmp_path):
    for name in ("a", "b", "c"):
        save(tmp_path / f"{name}.png", caption="penny")
    for name in ("a", "c"):
        (tmp_path / f"{name}.txt").write_bytes("café".encode("latin-1"))
    with pytest.raises(DatasetError) as caught:
        scan(tmp_path)
    assert "a.txt is not UTF-8: byte 4" in str(caught.value) and "c.txt is not UTF-8" in str(caught.value)
    assert [problem.level for problem in survey(settings(tmp_path)).problems].count("error") == 2


def test_the_order_does_not_depend_on_the_file_system(tmp_path):
    names = [f"{letter}{number}.png" for letter in "bca" for number in (10, 9)]
    for name in names:
        save(tmp_path / name, caption="penny")
    assert [picture.path.name for picture in scan(tmp_path).pictures] == sorted(names)


def test_a_folder_that_may_not_be_read_is_reported(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DatasetError, match="cannot be read: Permission denied"):
        scan(tmp_path)


def test_a_subfolder_that_may_not_be_read_is_left_out_and_listed(tmp_path, monkeypatch):
    save(tmp_path / "1_penny" / "a.png", caption="penny")
    save(tmp_path / "2_tom" / "a.png", caption="tom")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "2_tom":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    dataset = scan(tmp_path)
    assert [concept.name for concept in dataset.concepts] == ["penny"]
    assert reasons(dataset) == {"2_tom": "it cannot be read: Permission denied"}


def test_only_an_animated_gif_is_an_error_that_names_it(tmp_path):
    save(tmp_path / "wave.gif", noise(seed=1), save_all=True, append_images=[noise(seed=2)])
    with pytest.raises(DatasetError, match=r"no images in .*only files of other kinds \(wave.gif\). Put .png"):
        scan(tmp_path)


def test_names_in_any_script(tmp_path):
    save(tmp_path / "1_ペニー" / "猫 と 犬.png", caption="ペニー, 猫")
    assert scan(Path(tmp_path)).pictures[0].caption == "ペニー, 猫"


@pytest.mark.parametrize("name, words", [("2024_photos", "If 2024 is a year, rename the folder to 1_photos"),
                                         ("1999_summer", "If 1999 is a year, rename the folder to 1_summer"),
                                         ("600_penny", "Else rename the folder to 1_penny")])
@pytest.mark.parametrize("itself", [True, False])
def test_a_folder_named_like_a_year_is_warned_about(name, words, itself, tmp_path):
    save(tmp_path / name / "a.png", noise(80, 60), caption="penny")
    assert words in texts(scan(tmp_path / name if itself else tmp_path), "warning")


@pytest.mark.parametrize("name", ["10_penny", "499_penny"])
def test_usual_repeats_are_not_warned_about(name, tmp_path):
    save(tmp_path / name / "a.png", noise(80, 60), caption="penny")
    assert texts(scan(tmp_path), "warning") == ""


@pytest.mark.parametrize("caption", [", , ,", ",", " ,,\n , \n"])
def test_a_caption_of_separators_alone_is_empty(caption, tmp_path):
    save(tmp_path / "a.png", noise(80, 60), caption=caption)
    save(tmp_path / "b.png", noise(80, 60), caption="penny")
    dataset = scan(tmp_path)
    assert [picture.caption for picture in dataset.pictures] == ["", "penny"]
    assert "1 caption file with nothing in it: a.txt" in texts(dataset, "warning")


def test_a_line_of_commas_is_passed_over(tmp_path):
    save(tmp_path / "a.png", noise(80, 60), caption=",,\npenny, hat")
    assert scan(tmp_path).pictures[0].caption == "penny, hat"


@pytest.mark.parametrize("name", ["a.png.txt", "A.PNG.TXT", "a.png.Txt"])
def test_captions_named_after_the_whole_image_name_are_reported(name, tmp_path):
    save(tmp_path / "a.png", noise(80, 60))
    save(tmp_path / "b.png", noise(80, 60), caption="penny")
    (tmp_path / name).write_text("penny, hat")
    assert f"Rename {name} to {name[:1]}{name[-4:]}" in texts(scan(tmp_path), "warning")


def test_such_captions_are_reported_where_no_image_has_another(tmp_path):
    save(tmp_path / "a.png", noise(80, 60))
    (tmp_path / "a.png.txt").write_text("penny, hat")
    with pytest.raises(DatasetError, match="a.png.txt"):
        scan(tmp_path)
