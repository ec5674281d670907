"""Folders that would be walked for ever, or too deep, are walked once and as deep as makes sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_lora_train.files.walk import files_below, natural_key
from lib_lora_train.runs.names import lora_names

from .nested import nested


@pytest.mark.parametrize("links", [{"loop": "loop"}, {"up": "."}, {"up": "..", "again": ".", "third": "."},
                                   {"a": "b", "b": "a"}, {**{f"l{number}": "." for number in range(30)}}])
def test_links_in_a_circle_are_walked_once(tmp_path: Path, links: dict[str, str]):
    loras = tmp_path / "loras"
    (loras / "sub").mkdir(parents=True)
    for name in ("one.safetensors", "sub/two-000002.safetensors"):
        (loras / name).touch()
    for name, target in links.items():
        (loras / "sub" / name).symlink_to(target)
    assert sorted(entry.name for entry in files_below(loras)) == ["one.safetensors", "two-000002.safetensors"]
    assert lora_names(loras) == {"one", "two", "two-000002"}


def test_a_link_to_another_place_is_walked_too(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "three.safetensors").touch()
    (tmp_path / "loras").mkdir()
    (tmp_path / "loras" / "link").symlink_to(tmp_path / "elsewhere")
    assert lora_names(tmp_path / "loras") == {"three"}


@pytest.mark.parametrize(("levels", "name"), [(1500, "d"), (1500, "folder"), (60, "n" * 200)])
def test_folders_deeper_than_python_can_recurse_end(tmp_path: Path, levels: int, name: str):
    (tmp_path / "one.safetensors").touch()
    with nested(tmp_path, levels, name):
        assert lora_names(tmp_path) == {"one"}


def test_a_folder_that_is_missing_has_no_files(tmp_path: Path):
    assert list(files_below(tmp_path / "gone")) == []


def test_names_are_sorted_by_their_numbers_and_the_same_in_any_order():
    names = ["1.png", "01.png", "2.png", "10.png", "A.png", "a.png", "b2.png", "b10.png"]
    for turned in range(len(names)):
        listed = sorted(names[turned:] + names[:turned], key=natural_key)
        assert [name for name in listed if name[0].isdecimal()] == ["01.png", "1.png", "2.png", "10.png"]
        assert [name for name in listed if name[0].isalpha()] == ["A.png", "a.png", "b2.png", "b10.png"]
