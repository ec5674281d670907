"""Loss weights and repeats of single images in the editor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_lora_train.captions.editor.pictures import copy_pictures, delete_pictures, move_pictures
from lib_lora_train.captions.editor.weights import set_weights
from lib_lora_train.errors import DatasetError
from lib_lora_train.pictures.weights import ImageWeight

from ..sets import names, numbers, open_editor, save_picture


def test_weights_are_undone_filtered_and_go_along_with_their_images(tmp_path: Path):
    folder = tmp_path / "set"
    for name in ("a.png", "b.png", "c.png"):
        save_picture(folder / name)
    editor = open_editor(folder)
    a, b = numbers(editor, "a.png", "b.png")
    assert set_weights(editor, [a, b], 0.5, None).changed == (a, b)
    set_weights(editor, [b], None, 0)
    assert [names(editor, editor.filtered(text)) for text in ("weight<1", "repeats=0", "weight=1")] == [
        ["a.png", "b.png"], ["b.png"], ["c.png"]]
    copy_pictures(editor, [b], "2_cat")
    move_pictures(editor, [a], "2_cat")
    assert json.loads((folder / "2_cat/b.weight.json").read_text()) == {"weight": 0.5, "repeats": 0}
    assert (folder / "2_cat/a.weight.json").exists() and not (folder / "a.weight.json").exists()
    delete_pictures(editor, numbers(editor, "2_cat/a.png", "b.png"))
    assert not (folder / "2_cat/a.weight.json").exists() and not (folder / "b.weight.json").exists()
    while editor.history().position:
        editor.undo()
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == ["a.png", "b.png", "c.png"]
    assert {entry.weight for entry in editor.index.entries.values()} == {ImageWeight()}
    editor.redo()
    assert editor.entry(numbers(editor, "a.png")[0]).weight == ImageWeight(0.5, 1)
    set_weights(editor, numbers(editor, "a.png"), 1, 1)
    assert not (folder / "a.weight.json").exists()


def test_a_damaged_weight_file_is_said_and_can_be_set_anew(tmp_path: Path):
    folder = tmp_path / "set"
    save_picture(folder / "a.png")
    (folder / "a.weight.json").write_text('{"weight": -3}')
    editor = open_editor(folder)
    number = numbers(editor, "a.png")[0]
    assert "a.weight.json cannot be used" in editor.entry(number).weight_problem
    with pytest.raises(DatasetError, match="1000 is out of range"):
        set_weights(editor, [number], 1000, None)
    set_weights(editor, [number], 2, None)
    assert editor.entry(number).weight_problem == "" and editor.entry(number).weight == ImageWeight(2.0)
    editor.undo()
    assert (folder / "a.weight.json").read_text() == '{"weight": -3}'
    (folder / "a.weight.json").unlink()
    editor.refresh()
    assert editor.entry(number).weight_problem == ""
