"""Names as long as a disk allows, and those that Windows keeps for itself, in move, copy and rename."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_lora_train.captions.editor.editor import CaptionEditor
from lib_lora_train.captions.editor.pictures import copy_pictures, move_pictures, rename_folder
from lib_lora_train.captions.tokens import TokenCounter
from lib_lora_train.config.groups.dataset import DatasetSettings
from lib_lora_train.errors import DatasetError

from .sets import make_set

LONGEST = ["x" * 251, "猫" * 83, "é" * 125, "😀" * 62]
TOO_LONG = ["x" * 256, "猫" * 86, "a/" + "😀" * 64, "a" * 5000]
RESERVED = ["con", "NUL.txt", "Com1", "lpt9.x", "dots.", "space. "]


def opened(folder: Path) -> CaptionEditor:
    return CaptionEditor(folder.resolve(), DatasetSettings(), folder.parent / "facts.json", TokenCounter(None))


@pytest.mark.parametrize("stem", LONGEST)
@pytest.mark.parametrize("act", [move_pictures, copy_pictures])
def test_a_taken_name_of_full_length_is_shortened_for_its_number(tmp_path: Path, stem: str, act):
    folder = make_set(tmp_path / "set", {f"{stem}.png": "penny", f"b/{stem}.png": "hat"})
    editor = opened(folder)
    number = next(number for number, entry in editor.index.entries.items() if entry.folder == "")
    act(editor, [number], "b")
    new = list((folder / "b").glob("*-2.*"))
    assert {path.suffix for path in new} == {".png", ".txt"}
    assert next(path for path in new if path.suffix == ".txt").read_text() == "penny"
    assert (folder / "b" / f"{stem}.txt").read_text() == "hat"
    assert all(len(path.name.encode()) <= 255 for path in new)


@pytest.mark.parametrize("name", TOO_LONG + RESERVED)
def test_a_folder_that_cannot_be_made_everywhere_is_refused_with_nothing_moved(tmp_path: Path, name: str):
    folder = make_set(tmp_path / "set", {"a.png": "penny", "b/c.png": "hat"})
    editor = opened(folder)
    before = sorted(path.relative_to(folder) for path in folder.rglob("*.*") if ".lora_train" not in path.parts)
    first = next(iter(editor.index.entries))
    acts = [lambda: move_pictures(editor, [first], name), lambda: copy_pictures(editor, [first], name)]
    if "/" not in name:
        acts.append(lambda: rename_folder(editor, "b", name))
    for act in acts:
        if name == "space. " and act is not acts[-1]:
            continue  # a target's end is stripped of spaces before
        with pytest.raises(DatasetError, match=r"too long|cannot be used on Windows"):
            act()
    after = sorted(path.relative_to(folder) for path in folder.rglob("*.*") if ".lora_train" not in path.parts)
    assert after == before
