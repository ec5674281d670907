"""What each edit has changed, and the way back to any of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_lora_train.captions.editor.history import changes_of_edit, go_to, state_of, way_to
from lib_lora_train.captions.editor.operations import Operation
from lib_lora_train.captions.editor.pictures import delete_pictures
from lib_lora_train.captions.journal.apply import ConflictError
from lib_lora_train.errors import DatasetError

from .conftest import Dataset
from .sets import make_set, numbers, open_editor, texts

CAPTIONS = {"a.png": "penny, hat, glossy, apple", "b.png": "penny, hat", "c.png": "A girl walks over a wide field."}


def three_edits(tmp_path: Path):
    """An editor with three edits; and the captions before each of them and after all."""
    editor = open_editor(make_set(tmp_path / "set", CAPTIONS))
    states = [texts(editor.folder)]
    for operation in (Operation("add", ("white",)), Operation("remove", ("glossy", "hat")),
                      Operation("sort", order="alphabet")):
        editor.apply(operation, list(editor.order()), "")
        states.append(texts(editor.folder))
    return editor, states


def test_an_edit_is_reported_as_the_tags_that_came_and_went(tmp_path: Path):
    editor, _ = three_edits(tmp_path)
    first, second, third = (changes_of_edit(editor, batch.number) for batch in editor.history().batches)
    assert (first.added, first.removed, first.picture) == ((("white", 2),), (), "a.png")
    assert second.removed == (("hat", 2), ("glossy", 1)) and second.added == ()
    assert (third.reordered, third.added, third.removed) == (1, (), ())
    editor.set_texts({numbers(editor, "c.png")[0]: "A boy walks over a wide field."})
    assert changes_of_edit(editor, editor.history().batches[-1].number).sentences == 1
    delete_pictures(editor, numbers(editor, "a.png"))
    deleted = changes_of_edit(editor, editor.history().batches[-1].number)
    assert (deleted.moved, deleted.picture) == (2, "")


def test_many_tags_are_cut_to_the_most_frequent(tmp_path: Path):
    editor = open_editor(make_set(tmp_path / "set", CAPTIONS))
    editor.apply(Operation("add", tuple(f"tag {number}" for number in range(20))), list(editor.order()), "")
    found = changes_of_edit(editor, editor.history().batches[-1].number)
    assert len(found.added) == 6 and found.more == 14


@pytest.mark.parametrize("place", [0, 1, 2])
def test_every_point_of_the_history_can_be_reached_and_left_again(tmp_path: Path, place: int):
    editor, states = three_edits(tmp_path)
    batches = editor.history().batches
    way = way_to(editor, batches[place].number, 60)
    assert (way.back, way.edits) == (True, len(batches) - place)
    assert way.captions == sum(states[-1][name] != states[place][name] for name in states[0])
    assert {preview.after for preview in way.previews} <= set(states[place].values())
    done = go_to(editor, batches[place].number, way.seen)
    assert done.label == f"Undid {len(batches) - place} edit{'s' if len(batches) - place > 1 else ''}"
    assert texts(editor.folder) == states[place]
    forth = way_to(editor, batches[-1].number, 60)
    assert (forth.back, forth.edits) == (False, len(batches) - place)
    go_to(editor, batches[-1].number, forth.seen)
    assert texts(editor.folder) == states[-1]


def test_a_history_that_has_grown_meanwhile_is_not_undone_blindly(tmp_path: Path):
    editor, _ = three_edits(tmp_path)
    first = editor.history().batches[0].number
    seen = state_of(editor.history())
    editor.apply(Operation("add", ("later",)), list(editor.order()), "")
    before = texts(editor.folder)
    with pytest.raises(DatasetError, match="changed meanwhile"):
        go_to(editor, first, seen)
    assert texts(editor.folder) == before
    with pytest.raises(DatasetError, match="not in the history"):
        way_to(editor, 999, 60)


def test_captions_that_others_changed_stop_the_way_before_it_begins_or_are_left(tmp_path: Path):
    editor, states = three_edits(tmp_path)
    first = editor.history().batches[0].number
    (editor.folder / "a.txt").write_text("somebody else's")
    before = texts(editor.folder)
    with pytest.raises(ConflictError) as problem:
        go_to(editor, first, state_of(editor.history()))
    assert problem.value.paths == ("a.txt",) and texts(editor.folder) == before
    go_to(editor, first, state_of(editor.history()), ["a.txt"])
    assert texts(editor.folder) == {**states[0], "a.txt": "somebody else's"}


def test_deleted_images_come_back_on_the_way(tmp_path: Path):
    editor, states = three_edits(tmp_path)
    first = editor.history().batches[0].number
    delete_pictures(editor, numbers(editor, "a.png", "b.png"))
    way = way_to(editor, first, 60)
    assert way.moved == 4
    go_to(editor, first, way.seen)
    assert texts(editor.folder) == states[0] and editor.index.of_path("a.png") is not None


def test_the_history_is_paged_and_a_missing_part_is_said(dataset: Dataset):
    for number in range(45):
        dataset.apply("add", tags=[f"tag {number}"])
    page = dataset.get("history")
    assert (len(page["edits"]), page["total"]) == (40, 45)
    rest = dataset.get("history", skip=40)["edits"]
    assert len(rest) == 5 and rest[-1]["label"] == "Added tag 0 to 4 captions"
    newest = page["edits"][0]["number"]
    (dataset.folder / ".lora_train" / "journal" / f"{rest[0]['number']:06d}.batch").unlink()
    found, missing = dataset.get("history/changes", numbers=[newest, rest[0]["number"]])["changes"]
    assert found["changes"]["added"] == [["tag 44", 4]] and found["cell"]["path"] == "a.png"
    assert "missing" in missing["problem"] and missing["cell"] is None
    assert dataset.ask("history/preview", edit=10**9).status_code == 400
    assert dataset.ask("history/go", edit=newest, seen="other").status_code == 400


def test_the_way_back_goes_through_the_routes(dataset: Dataset):
    before = texts(dataset.folder)
    for tag in ("one", "two", "three"):
        dataset.apply("add", tags=[tag])
    edits = dataset.get("history")["edits"]
    way = dataset.get("history/preview", edit=edits[-1]["number"])
    assert (way["edits"], way["captions"], way["back"]) == (3, 4, True)
    done = dataset.get("history/go", edit=edits[-1]["number"], seen=way["seen"])
    assert done["label"] == "Undid 3 edits" and done["undo"] is None and len(done["changed"]) == 4
    assert texts(dataset.folder) == {**before, "d.txt": ""} or texts(dataset.folder) == before
