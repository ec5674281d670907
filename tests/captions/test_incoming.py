"""Captions from file names and from sd-scripts' metadata."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_lora_train.captions.file_names import NameRule, caption_of_name
from lib_lora_train.captions.incoming import combined
from lib_lora_train.captions.metadata_json import captions_in_metadata
from lib_lora_train.errors import DatasetError

from .conftest import Dataset
from .sets import make_set, texts

PATHS = ["a.png", "b.png", "2_cat/a.png", "2_cat/e.jpg", "3_dog/f g.webp"]


@pytest.mark.parametrize(("name", "caption"), [
    ("0012_red boots, hat_(2).png", "red boots, hat"), ("red_boots_001.png", "red boots"), ("2girls.png", "2girls"),
    ("penny001.jpg", "penny"), ("penny1.jpg", "penny1"), ("1girl__red_hair__smile.webp", "1girl, red hair, smile"),
    ("penny - red boots - 03.png", "penny, red boots"), ("hat+Hat.png", "hat"), ("IMG_1234.jpg", ""),
    ("DSC01234.JPG", ""), ("20240101_123456.jpg", ""), ("d41d8cd98f00b204e9800998ecf8427e.png", ""),
    ("a_girl_3b2f9c0d-1111-4222-8333-444455556666.png", "a girl"), ("defaced.png", "defaced"),
    ("x-ray [3].png", "x-ray"),
])
def test_a_file_name_is_a_caption_without_its_counters(name: str, caption: str):
    assert caption_of_name(name, NameRule(), ",") == caption


def test_the_rule_of_names_can_be_changed():
    assert caption_of_name("red_boots_001.png", NameRule(counters=False), ",") == "red boots 001"
    assert caption_of_name("red_boots.png", NameRule(underscores=False), ",") == "red_boots"
    assert caption_of_name("red_boots.png", NameRule(separators="_"), ",") == "red, boots"
    assert caption_of_name("a, b.png", NameRule(separators=""), ";") == "a, b"
    assert caption_of_name("a+b.png", NameRule(), ";") == "a; b"


def matched(entries: object, part: str = "both", folder: str = "/data/train"):
    return captions_in_metadata(json.dumps(entries), PATHS, folder, part, ",")


@pytest.mark.parametrize(("key", "path"), [
    ("/data/train/2_cat/a.png", "2_cat/a.png"), ("2_cat/a.png", "2_cat/a.png"), ("2_cat/a", "2_cat/a.png"),
    ("D:\\other\\train\\2_cat\\A.PNG", "2_cat/a.png"), ("/else/train/a.png", "a.png"), ("b", "b.png"),
    ("b.webp", "b.png"), ("e", "2_cat/e.jpg"), ("/x/y/e.jpg", "2_cat/e.jpg"), ("f g", "3_dog/f g.webp"),
    ("./b.png", "b.png"),
])
def test_an_entry_finds_its_image_by_path_relative_path_or_name(key: str, path: str):
    assert dict(matched({key: {"tags": "x"}}).captions) == {path: "x"}


@pytest.mark.parametrize(("entries", "why"), [
    ({"zzz": {"tags": "x"}}, "fits no image"), ({"a": {"tags": "x"}}, "fits 2 images"),
    ({"/q/a.png": {"tags": "x"}}, "fits 2 images"), ({"b": {"train_resolution": [512, 512]}}, "has no caption or tags"),
    ({"b": {"tags": ""}}, "has no caption or tags"), ({"b": {"caption": None, "tags": 3}}, "has no caption or tags"),
])
def test_what_does_not_match_is_listed_with_the_reason(entries: dict, why: str):
    found = matched(entries)
    assert found.captions == {} and found.unmatched == ((next(iter(entries)), why),)


def test_a_path_counts_before_a_bare_name_for_the_same_image():
    found = matched({"b": {"tags": "by name"}, "/data/train/b.png": {"tags": "by path"}})
    assert dict(found.captions) == {"b.png": "by path"}
    assert found.unmatched == (("b", "is for the same image as /data/train/b.png"),)


@pytest.mark.parametrize(("part", "caption"), [
    ("both", "a girl walks, penny, hat"), ("caption", "a girl walks"), ("tags", "penny, hat")])
def test_caption_comes_before_tags_and_either_can_be_left_out(part: str, caption: str):
    entry = {"caption": "a girl\nwalks", "tags": "penny,  hat,", "train_resolution": [512, 768]}
    assert matched({"b": entry}, part).captions["b.png"] == caption


@pytest.mark.parametrize("text", ["", "[1]", '{"a": "b"}', "{", "no", '{"a": {"tags": NaN}}'])
def test_what_is_no_metadata_is_refused_with_a_way_out(text: str):
    with pytest.raises(DatasetError, match="Choose"):
        captions_in_metadata(text, PATHS, "/d", "both", ",")


@pytest.mark.parametrize(("text", "new", "mode", "after"), [
    ("", "penny, hat", "empty", "penny, hat"), ("penny", "hat", "empty", "penny"), ("penny", "hat", "replace", "hat"),
    ("penny, hat", "Hat, cap", "append", "penny, hat, cap"), ("penny", "hat, penny", "prepend", "hat, penny"),
    ("A girl walks over a wide field.", "penny, hat", "append", "A girl walks over a wide field. penny, hat"),
    ("penny", "A girl walks over a wide field.", "prepend", "A girl walks over a wide field. penny"),
    ("penny\nsecond", "hat", "append", "penny, hat\nsecond"), ("penny, hat", "hat", "append", "penny, hat"),
])
def test_captions_that_are_there_are_kept_replaced_or_added_to(text: str, new: str, mode: str, after: str):
    assert combined(text, new, mode, ",") == after


def test_metadata_in_the_folder_is_previewed_written_and_undone(dataset: Dataset):
    (dataset.folder / "meta_cap.json").write_text(json.dumps({
        str(dataset.folder / "a.png"): {"tags": "from json", "train_resolution": [512, 512]},
        "d": {"caption": "a caption"}, "nobody": {"tags": "x"}}))
    before = texts(dataset.folder)
    assert dataset.get("incoming/files") == {"files": ["meta_cap.json"]}
    plan = dataset.get("incoming/plan", source="metadata", file="meta_cap.json", mode="empty")
    assert (plan["captions"], plan["kept"], plan["without"]) == (1, 1, 3)
    assert plan["unmatched"] == [["nobody", "fits no image"]]
    assert [item["after"] for item in plan["previews"]] == ["a caption"]
    assert texts(dataset.folder) == before
    done = dataset.get("incoming", source="metadata", file="meta_cap.json", mode="append")
    assert len(done["changed"]) == 2 and "1 of the metadata's entries not used." in done["left"]
    assert texts(dataset.folder)["a.txt"] == "penny, red boots, boots, hat, from json"
    dataset.get("undo")
    assert texts(dataset.folder) == before
    some = dataset.get("incoming/plan", source="metadata", file="meta_cap.json", mode="replace",
                       numbers=dataset.numbers("d.png"))
    assert (some["captions"], some["outside"]) == (1, 1)


def test_file_names_fill_only_what_is_empty_unless_set_otherwise(tab, tmp_path: Path):
    dataset = Dataset(tab, make_set(tmp_path / "set", {"red_boots_01.png": None, "hat_02.png": "kept",
                                                       "003.png": None}))
    dataset.open()
    plan = dataset.get("incoming/plan")
    assert (plan["captions"], plan["kept"], plan["unmatched"]) == (1, 1, [["003.png", "has no words in its name"]])
    dataset.get("incoming")
    assert texts(dataset.folder) == {"hat_02.txt": "kept", "red_boots_01.txt": "red boots"}
    dataset.get("incoming", mode="prepend")
    assert texts(dataset.folder)["hat_02.txt"] == "hat, kept"


@pytest.mark.parametrize("body", [
    {"source": "else"}, {"source": "metadata"}, {"source": "metadata", "file": "../x.json"},
    {"source": "metadata", "file": "missing.json"}, {"source": "metadata", "text": "{"},
    {"source": "metadata", "text": "{}", "part": "none"}, {"mode": "burn"}, {"rule": {"separators": 3}},
    {"rule": {"other": True}}])
@pytest.mark.parametrize("route", ["incoming", "incoming/plan"])
def test_what_cannot_be_taken_in_is_refused_with_words(dataset: Dataset, route: str, body: dict):
    before = texts(dataset.folder)
    answer = dataset.ask(route, **body)
    assert answer.status_code == 400 and answer.json()["error"]
    assert texts(dataset.folder) == before


def test_json_behind_a_link_is_not_read(dataset: Dataset, tmp_path: Path):
    secret = tmp_path / "secret.json"
    secret.write_text('{"a": {"tags": "secret"}}')
    (dataset.folder / "link.json").symlink_to(secret)
    answer = dataset.ask("incoming/plan", source="metadata", file="link.json")
    assert answer.status_code == 400 and "secret" not in answer.json()["error"].replace("secret.json", "")
