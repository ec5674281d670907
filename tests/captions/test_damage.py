"""Whatever is wrong with the undo journal, the set opens, no caption is lost, and what was set aside is said."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib_lora_train.captions.editor.editor import CaptionEditor
from lib_lora_train.captions.editor.operations import Operation
from lib_lora_train.captions.journal.journal import Journal
from lib_lora_train.errors import DatasetError
from lib_lora_train.files.confine import HIDDEN_FOLDER

from .sets import make_set, numbers, open_editor, texts


def add(editor: CaptionEditor, tag: str, *names: str) -> None:
    editor.apply(Operation("add", (tag,)), numbers(editor, *(names or ("a.png", "b.png"))), "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures; three edits, the second one twice undone and redone, none of them settled yet."""
    folder = make_set(tmp_path / "set", {"a.png": "penny", "b.png": "penny, hat"})
    editor = open_editor(folder)
    for tag in ("one", "two", "three"):
        add(editor, tag)
    editor.undo()
    return folder


BEFORE = {"a.txt": "penny, one, two", "b.txt": "penny, hat, one, two"}


def journal(folder: Path) -> Path:
    return folder / HIDDEN_FOLDER / "journal"


def state(folder: Path, **changed: Any) -> None:
    file = journal(folder) / "state.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))


def batch_item(**changed: Any) -> dict[str, Any]:
    return {"number": 1, "label": "x", "time": 1.0, "files": 1, **changed}


def replaced(file: str, by: Callable[[Path], object]) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        place = journal(folder) / file
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()
        by(place)

    return act


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "cut": lambda folder: (journal(folder) / "state.json").write_text('{"version": 1'),
    "empty": lambda folder: (journal(folder) / "state.json").write_text(""),
    "a list": lambda folder: (journal(folder) / "state.json").write_text("[]"),
    "null": lambda folder: (journal(folder) / "state.json").write_text("null"),
    "deep": lambda folder: (journal(folder) / "state.json").write_text("[" * 100_000),
    "no text": lambda folder: (journal(folder) / "state.json").write_bytes(b"\xff\xfe\0"),
    "newer version": lambda folder: state(folder, version=2),
    "position beyond": lambda folder: state(folder, position=9),
    "position below": lambda folder: state(folder, position=-1),
    "position a text": lambda folder: state(folder, position="1"),
    "position true": lambda folder: state(folder, position=True),
    "batches a number": lambda folder: state(folder, batches=7),
    "label a number": lambda folder: state(folder, batches=[batch_item(label=3)], position=1),
    "number a text": lambda folder: state(folder, batches=[batch_item(number="1")], position=1),
    "time no number": lambda folder: state(folder, batches=[batch_item(time=float("nan"))], position=1),
    "number twice": lambda folder: state(folder, batches=[batch_item(), batch_item()], position=1),
    "unsettled nonsense": lambda folder: state(folder, unsettled=[3]),
    "unsettled of the future": lambda folder: state(
        folder, unsettled=[{"number": 99, "back": False, "time": 1.0, "boot": ""}]),
    "state a folder": replaced("state.json", Path.mkdir),
    "state a link": replaced("state.json", lambda place: place.symlink_to("lock")),
    "state a pipe": replaced("state.json", os.mkfifo),
    "state gone": replaced("state.json", lambda place: None),
    "lock a folder": replaced("lock", Path.mkdir),
    "lock a link": replaced("lock", lambda place: place.symlink_to("/dev/null")),
    "lock a pipe": replaced("lock", os.mkfifo),
    "lock gone": replaced("lock", lambda place: None),
    "a batch gone": replaced("000002.batch", lambda place: None),
    "a batch nonsense": replaced("000002.batch", lambda place: place.write_bytes(b"junk")),
    "a batch cut": replaced("000002.batch", lambda place: place.write_bytes(zlib.compress(b"[]" * 99)[:-7])),
    "a batch null": replaced("000002.batch", lambda place: place.write_bytes(zlib.compress(b"null"))),
    "a batch of numbers": replaced("000002.batch", lambda place: place.write_bytes(zlib.compress(b"[1, 2]"))),
    "a batch of other types": replaced(
        "000002.batch", lambda place: place.write_bytes(zlib.compress(b'[["write", "a.txt", 3, 4]]'))),
    "a batch deep": replaced("000002.batch", lambda place: place.write_bytes(zlib.compress(b"[" * 100_000))),
    "a batch a folder": replaced("000002.batch", Path.mkdir),
    "a batch a link": replaced("000002.batch", lambda place: place.symlink_to("000001.batch")),
    "batches of another history": lambda folder: (journal(folder) / "000077.batch").write_bytes(b"x"),
    "the journal gone": lambda folder: shutil.rmtree(journal(folder)),
    "the journal a file": replaced(".", lambda place: place.write_text("x")),
    "the journal a link": replaced(".", lambda place: place.symlink_to("/tmp")),
}


def spares_as(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        shutil.rmtree(folder / HIDDEN_FOLDER / "spare")
        make(folder / HIDDEN_FOLDER / "spare")

    return act


def strange_spares(place: Path) -> None:
    place.mkdir()
    os.mkfifo(place / "1")
    (place / "2").mkdir()
    (place / "3").symlink_to("/etc/passwd")
    (place / "note.md").write_text("x")


DAMAGES |= {"spares a file": spares_as(lambda place: place.write_text("x")),
            "spares a link": spares_as(lambda place: place.symlink_to("/tmp")),
            "spares of all kinds": spares_as(strange_spares)}
UNSAID = {"lock gone", "the journal gone", "spares of all kinds"}


@pytest.mark.parametrize("when", ["before it is opened", "while it is open"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_the_set_opens_and_can_be_edited(folder: Path, damage: str, when: str):
    editor = open_editor(folder) if when == "while it is open" else None
    DAMAGES[damage](folder)
    if editor is None:
        editor = open_editor(folder)
        assert bool(editor.messages) is (damage not in UNSAID), editor.messages
        assert all("\n" not in message and message.endswith(".") for message in editor.messages)
    assert texts(folder) == BEFORE
    editor.history()
    add(editor, "more")
    assert texts(folder)["a.txt"] == "penny, one, two, more"
    editor.undo()
    assert texts(folder) == BEFORE
    open_editor(folder)
    assert open_editor(folder).messages == []


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name.startswith("a batch")])
def test_only_the_damaged_edit_is_out_of_the_history(folder: Path, damage: str):
    editor = open_editor(folder)
    editor.settle()
    DAMAGES[damage](folder)
    editor = open_editor(folder)
    if [batch.number for batch in editor.history().batches] != [1, 3]:  # it is not read before it is needed
        with pytest.raises(DatasetError, match=r"000002\.batch, is missing or damaged .* Added two to 2 captions"):
            editor.undo()
    assert [batch.number for batch in editor.history().batches] == [1, 3]
    assert editor.history().position == 1 and texts(folder) == BEFORE
    for name in ("a.txt", "b.txt"):  # as the second edit would have been undone by hand
        (folder / name).write_text(BEFORE[name].removesuffix(", two"))
    editor.refresh()
    editor.undo()
    assert texts(folder) == {"a.txt": "penny", "b.txt": "penny, hat"}


def test_what_is_set_aside_is_kept_whole(folder: Path):
    batches = {file.name: file.read_bytes() for file in journal(folder).glob("*.batch")}
    (journal(folder) / "state.json").write_text("nonsense")
    [message] = open_editor(folder).messages
    [place] = (folder / HIDDEN_FOLDER / "damaged").iterdir()
    assert str(place) in message and (place / "state.json").read_text() == "nonsense"
    assert {file.name: file.read_bytes() for file in place.glob("*.batch")} == batches


def test_apply_undo_apply_kill_opens_without_a_word(tmp_path: Path):
    folder = make_set(tmp_path / "set", {"a.png": "penny"})
    editor = open_editor(folder)
    add(editor, "one", "a.png")
    editor.undo()
    add(editor, "two", "a.png")
    again = open_editor(folder)  # as after a kill within the four seconds: nothing was settled
    assert again.messages == [] and texts(folder) == {"a.txt": "penny, two"}
    again.undo()
    assert texts(folder) == {"a.txt": "penny"}
    again.settle()


def test_batches_of_unsettled_edits_are_kept_until_they_are_settled(tmp_path: Path):
    folder = make_set(tmp_path / "set", {"a.png": "penny"})
    editor = open_editor(folder)
    for number in range(4):
        add(editor, f"n{number}", "a.png")
        editor.undo()
    assert len(list(journal(folder).glob("*.batch"))) == 4
    editor.settle()
    assert [file.name for file in journal(folder).glob("*.batch")] == ["000004.batch"]  # it can be redone


@pytest.mark.parametrize("in_the_way", [lambda place: place.write_text("x"), lambda place: place.symlink_to("/tmp")],
                         ids=["a file", "a link"])
def test_where_no_journal_can_be_kept_the_captions_can_be_read(tmp_path: Path, in_the_way: Callable[[Path], object]):
    folder = make_set(tmp_path / "set", {"a.png": "penny"})
    in_the_way(folder / HIDDEN_FOLDER)
    editor = open_editor(folder)
    assert editor.messages[0].startswith("The captions can be read, but not edited.") and editor.filtered("penny")
    assert editor.history().batches == ()
    with pytest.raises(DatasetError, match="link or a file"):
        add(editor, "x", "a.png")
    assert texts(folder) == {"a.txt": "penny"}
    (folder / HIDDEN_FOLDER).unlink()
    add(editor, "x", "a.png")
    assert texts(folder) == {"a.txt": "penny, x"}


def test_a_folder_that_is_gone_does_not_keep_a_set_from_opening(tmp_path: Path):
    folder = make_set(tmp_path / "set", {"a.png": "penny", "sub/b.png": "hat", "c/d.png": "cat"})
    editor = open_editor(folder)
    add(editor, "new", "a.png", "sub/b.png", "c/d.png")
    shutil.rmtree(folder / "sub")
    shutil.rmtree(folder / "c")
    (folder / "c").write_text("a file now")
    again = open_editor(folder)
    assert texts(folder) == {"a.txt": "penny, new"} and "sub/b.txt" in again.messages[0]


def test_words_that_a_power_cut_seems_to_have_damaged_are_kept_aside(tmp_path: Path):
    folder = make_set(tmp_path / "set", {"a.png": "penny"})
    add(open_editor(folder), "new", "a.png")
    (folder / "a.txt").write_text("their words")
    unsettled = json.loads((journal(folder) / "state.json").read_text())["unsettled"]
    state(folder, unsettled=[{**edit, "boot": "another start of the machine"} for edit in unsettled])
    open_editor(folder)
    assert texts(folder) == {"a.txt": "penny, new"}
    assert (folder / HIDDEN_FOLDER / "damaged" / "a.txt").read_text() == "their words"


def test_an_edit_that_another_program_died_in_is_finished_by_the_next(tmp_path: Path):
    folder = make_set(tmp_path / "set", {"a.png": "penny", "b.png": "hat"})
    editor = open_editor(folder)
    add(editor, "new")
    (folder / "b.txt").write_text("hat")  # the kill came between a.txt and b.txt …
    (journal(folder) / "unfinished").touch()  # … and the mark was left
    Journal(folder).settle()
    assert texts(folder) == {"a.txt": "penny, new", "b.txt": "hat, new"}
