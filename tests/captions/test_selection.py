"""Several images at once: what they share, what is copied, and a tag renamed across the set."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lib_lora_train.captions.editor.operations import Operation, Surroundings, edited
from lib_lora_train.captions.editor.selection import common_tags, copied_tags, rename_facts
from lib_lora_train.errors import DatasetError

from .conftest import Dataset
from .sets import make_set, numbers, open_editor, texts

CAPTIONS = {
    "a.png": "penny, red boots, hat",
    "b.png": "penny, hat, blue_eyes",
    "c.png": "penny, Blue Eyes, hat, cap",
    "d.png": "penny, boots, A girl in boots walks over a wide field.",
    "e.png": b"penny, caf\xe9",
    "f.png": None,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_set(tmp_path / "set", CAPTIONS)


def renamed(text: str, old: str, new: str, **options: object) -> str:
    operation = Operation("rename", (old,), new, **options)
    return edited([text], operation, Surroundings())[0]


def test_common_tags_are_those_of_every_caption_and_others_are_counted(folder: Path):
    editor = open_editor(folder)
    found = common_tags(editor, numbers(editor, "c.png", "a.png", "b.png"))
    assert (found.images, found.common) == (3, ("penny", "hat"))
    assert dict(found.some) == {"blue_eyes": 2, "red boots": 1, "cap": 1} and found.more == 0
    mixed = common_tags(editor, [*numbers(editor, "a.png", "d.png", "e.png", "f.png"), 999])
    assert (mixed.images, mixed.common, mixed.sentences, mixed.unreadable) == (2, (), 1, 1)
    assert mixed.some == (("hat", 1), ("penny", 1), ("red boots", 1))
    assert common_tags(editor, []).images == 0


def test_tags_are_copied_in_order_and_once(folder: Path):
    editor = open_editor(folder)
    found = copied_tags(editor, numbers(editor, "c.png", "b.png"))
    assert found.tags == ("penny", "hat", "blue_eyes", "cap") and found.images == 2
    prose = copied_tags(editor, numbers(editor, "d.png"))
    assert prose.tags == ("penny", "boots") and prose.sentences == 1


def test_pasting_adds_what_is_missing_at_the_end_and_is_undone(dataset: Dataset):
    source, target = dataset.numbers("a.png", "b.png")
    before = texts(dataset.folder)
    copied = dataset.get("copied", numbers=[source])
    assert copied["text"] == "penny, red boots, boots, hat"
    dataset.apply("add", numbers=[target, *dataset.numbers("d.png")], tags=copied["tags"], place="last")
    assert texts(dataset.folder)["b.txt"] == "penny, hat, red boots, boots"
    assert texts(dataset.folder)["d.txt"] == "penny, red boots, boots, hat"
    dataset.get("undo")
    assert texts(dataset.folder) == before


@pytest.mark.parametrize(("text", "old", "new", "after"), [
    ("penny, boots, hat", "boots", "red boots", "penny, red boots, hat"),
    ("hat, boots, red boots", "boots", "red boots", "hat, red boots"),
    ("red boots, hat, boots", "boots", "red boots", "red boots, hat"),
    ("Boots, hat", "boots", "boots", "boots, hat"),
    ("blue_eyes, hat", "blue eyes", "blue eyes", "blue eyes, hat"),
    ("*_*, hat, x_x", "*_*", "star eyes", "star eyes, hat, x_x"),
    ("penny, boots, A girl in boots walks over a field.", "boots", "shoes",
     "penny, shoes, A girl in boots walks over a field."),
    ("shoes, boots, A girl in boots walks over a field.", "boots", "shoes",
     "shoes, A girl in boots walks over a field."),
    ("boots, hat\nboots", "boots", "shoes", "shoes, hat\nboots"),
    ("hat", "boots", "shoes", "hat"),
])
def test_a_tag_is_renamed_where_it_stands_and_merged_where_the_name_exists(text: str, old: str, new: str, after: str):
    assert renamed(text, old, new) == after


def test_a_tag_is_renamed_in_sentences_when_that_is_asked_for():
    text = "penny, A girl in boots walks over a wide field."
    assert renamed(text, "boots", "shoes", include_prose=True) == text.replace("boots", "shoes")


@pytest.mark.parametrize(("old", "new", "words"), [
    (("boots",), " ", "new name"), (("boots", "hat"), "shoes", "One tag"), (("",), "x", "No tag"),
    (("boots",), "a, b", "separates tags"), (("boots",), "x" * 1001, "1000 characters"),
])
def test_a_name_that_cannot_be_used_is_refused(old: tuple[str, ...], new: str, words: str):
    with pytest.raises(DatasetError, match=words):
        edited(["boots"], Operation("rename", old, new), Surroundings())


def test_what_renaming_does_is_known_before(folder: Path):
    editor = open_editor(folder)
    assert dataclasses.asdict(rename_facts(editor, "hat", "Cap")) == {
        "having": 3, "existing": 1, "both": 1, "sentences": 0}
    assert rename_facts(editor, "blue eyes", "blue_eyes").existing == 0
    assert rename_facts(editor, "girl", "woman").sentences == 1


def test_a_tag_is_renamed_across_the_set_whatever_is_shown_and_undone(dataset: Dataset):
    before = texts(dataset.folder)
    assert dataset.get("rename-tag", tag="boots", name="red boots") == {
        "having": 1, "existing": 1, "both": 1, "sentences": 0}
    done = dataset.apply("rename", tags=["hat"], replacement="cap")
    assert done["label"] == "Renamed hat to cap in 2 captions" and done["left"] == []
    assert texts(dataset.folder)["b.txt"] == "penny, cap"
    dataset.get("undo")
    assert texts(dataset.folder) == before
    assert dataset.ask("apply", operation={"kind": "rename", "tags": ["hat"], "replacement": "a,b"}).status_code == 400


def test_removing_exactly_takes_no_star_for_a_wildcard():
    assert edited(["*_*, x_x"], Operation("remove", ("*_*",), exact=True), Surroundings()) == ["x_x"]
    assert edited(["*_*, x_x"], Operation("remove", ("*_*",)), Surroundings()) == [""]
