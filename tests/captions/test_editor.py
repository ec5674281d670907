"""The editor keeps its index in step with the files, and every edit is one step of undo."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_lora_train.captions.editor.editor import CaptionEditor
from lib_lora_train.captions.editor.operations import Operation
from lib_lora_train.captions.editor.pictures import (
    copy_pictures,
    delete_pictures,
    lower_case_endings,
    move_pictures,
    rename_folder,
)
from lib_lora_train.captions.journal.apply import ConflictError
from lib_lora_train.captions.journal.format import Write
from lib_lora_train.captions.journal.journal import Journal
from lib_lora_train.errors import DatasetError
from lib_lora_train.files.confine import HIDDEN_FOLDER

from .sets import make_set, names, numbers, open_editor, save_picture, texts

CAPTIONS = {
    "a.png": "penny, red boots, hat",
    "b.png": "penny, hat\r\n",
    "c.png": "A girl walks over a field.",
    "d.png": None,
    "2_cat/e.png": b"\xef\xbb\xbfpenny, cat",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_set(tmp_path / "pictures", CAPTIONS)


@pytest.fixture
def editor(folder: Path) -> CaptionEditor:
    return open_editor(folder)


def everything(editor: CaptionEditor) -> list[int]:
    return list(editor.order())


def fresh_index(folder: Path) -> dict[str, object]:
    return index_state(open_editor(folder))


def index_state(editor: CaptionEditor) -> dict[str, object]:
    """What an index says, in words that do not depend on its numbers."""
    index = editor.index
    return {"paths": names(editor, everything(editor)), "counts": sorted(index.tag_counts()),
            "bare": names(editor, index.without_caption), "prose": names(editor, index.prose),
            "sets": {key: names(editor, index.bits_of(key)) for key in index.known_tags()}}


def test_pictures_and_captions_are_found_in_the_order_of_folders_and_names(editor: CaptionEditor):
    assert names(editor, everything(editor)) == ["a.png", "b.png", "c.png", "d.png", "2_cat/e.png"]
    assert editor.index.tag_counts() == [("penny", 3), ("hat", 2), ("cat", 1), ("red boots", 1)]
    assert editor.index.tag_counts(part="BOO", most=5) == [("red boots", 1)]
    assert editor.entry(0).width == 64


def test_numbers_are_sorted_as_a_person_would(tmp_path: Path):
    editor = open_editor(make_set(tmp_path / "p", {"10.png": "x", "2.png": "x", "1.png": "x"}))
    assert names(editor, editor.order()) == ["1.png", "2.png", "10.png"]


def test_hidden_folders_and_the_regularization_folder_are_not_shown(tmp_path: Path):
    editor = open_editor(make_set(tmp_path / "p", {"a.png": "x", "reg/r.png": "x", ".hid/h.png": "x", "_x/y.png": "x"}))
    assert names(editor, editor.order()) == ["a.png", "_x/y.png"]


def test_an_edit_changes_files_and_index_alike(editor: CaptionEditor, folder: Path):
    outcome = editor.apply(Operation("add", ("solo",)), everything(editor), "penny")
    assert outcome.label == "Added solo to 4 captions"
    assert outcome.left == ("1 prose caption left alone.",)
    assert texts(folder) == {"a.txt": "penny, red boots, hat, solo", "b.txt": "penny, hat, solo\r\n",
                             "c.txt": "A girl walks over a field.", "d.txt": "solo",
                             "2_cat/e.txt": "\ufeffpenny, cat, solo"}
    assert index_state(editor) == fresh_index(folder)


def test_undo_and_redo_over_sessions_restore_every_byte(editor: CaptionEditor, folder: Path):
    before = texts(folder)
    editor.apply(Operation("add", ("solo",)), everything(editor), "")
    middle = texts(folder)
    editor.apply(Operation("remove", ("hat",)), everything(editor), "")
    later = open_editor(folder)
    assert later.undo().label == "Removed hat from 2 captions" and texts(folder) == middle
    assert later.undo().changed and texts(folder) == before
    assert not (folder / "d.txt").exists()
    assert index_state(later) == fresh_index(folder)
    later.redo()
    assert texts(folder) == middle and index_state(later) == fresh_index(folder)


def test_an_untouched_file_is_not_written(editor: CaptionEditor, folder: Path):
    before = (folder / "b.txt").stat()
    assert editor.apply(Operation("remove", ("red boots",)), everything(editor), "").changed == (0,)
    assert (folder / "b.txt").stat().st_mtime_ns == before.st_mtime_ns
    assert editor.apply(Operation("dedupe"), everything(editor), "").label == "Nothing had to be changed."
    assert editor.history().position == 1


def test_a_caption_is_edited_as_text(editor: CaptionEditor, folder: Path):
    editor.set_texts({numbers(editor, "c.png")[0]: "A girl runs.\nFast."})
    assert texts(folder)["c.txt"] == "A girl runs.\nFast."
    assert editor.history().batches[0].label == "Edited the caption of c.png"


def test_a_conflict_shows_what_is_there_now_and_overwrites_nothing(editor: CaptionEditor, folder: Path):
    (folder / "a.txt").write_text("their words", encoding="utf-8")
    before = texts(folder)
    with pytest.raises(ConflictError, match=r"a\.txt"):
        editor.apply(Operation("add", ("solo",)), everything(editor), "")
    assert texts(folder) == before
    assert editor.entry(0).caption.text == "their words"
    editor.apply(Operation("add", ("solo",)), everything(editor), "")
    assert texts(folder)["a.txt"] == "their words, solo"


def test_a_caption_that_appeared_meanwhile_is_a_conflict_too(editor: CaptionEditor, folder: Path):
    (folder / "d.txt").write_text("new", encoding="utf-8")
    with pytest.raises(ConflictError):
        editor.set_texts({numbers(editor, "d.png")[0]: "mine"})
    assert texts(folder)["d.txt"] == "new"


def test_refreshing_takes_in_what_others_changed(editor: CaptionEditor, folder: Path):
    assert editor.refresh() is False
    revision = editor.revision
    (folder / "a.txt").write_text("other", encoding="utf-8")
    (folder / "b.txt").unlink()
    (folder / "c.png").unlink()
    save_picture(folder / "new.png", 96, 64)
    (folder / "NEW.TXT").write_text("capitals", encoding="utf-8")
    assert editor.refresh() is True and editor.revision > revision
    editor.read_sizes()
    assert index_state(editor) == fresh_index(folder)
    assert editor.index.of_path("new.png").caption.text == "capitals"
    with pytest.raises(DatasetError, match="no longer there"):
        editor.entry(2)


def test_two_pictures_with_one_caption_change_together(tmp_path: Path):
    folder = make_set(tmp_path / "p", {"a.png": "x"})
    save_picture(folder / "a.jpg")
    editor = open_editor(folder)
    outcome = editor.apply(Operation("add", ("y",)), numbers(editor, "a.jpg"), "")
    assert sorted(outcome.changed) == [0, 1] and outcome.label == "Added y to 1 caption"
    assert names(editor, editor.index.bits_of("y")) == ["a.jpg", "a.png"]
    delete_pictures(editor, numbers(editor, "a.jpg"))
    assert texts(folder) == {"a.txt": "x, y"}
    delete_pictures(editor, numbers(editor, "a.png"))
    assert texts(folder) == {}


def test_captions_in_other_encodings_are_left_alone_until_saved_as_utf8(tmp_path: Path):
    folder = make_set(tmp_path / "p", {"a.png": "café, x".encode("cp1252"), "b.png": "x"})
    editor = open_editor(folder)
    outcome = editor.apply(Operation("add", ("y",)), everything(editor), "")
    assert outcome.left == ("1 caption in another encoding than UTF-8 left alone.",)
    assert names(editor, editor.filtered("nocaption")) == []
    with pytest.raises(DatasetError, match="not UTF-8"):
        editor.set_texts({0: "z"})
    editor.save_as_utf8(everything(editor))
    assert texts(folder) == {"a.txt": "café, x", "b.txt": "x, y"}
    editor.undo()
    assert (folder / "a.txt").read_bytes() == "café, x".encode("cp1252")


def test_links_that_lead_out_are_left_out_and_never_read(tmp_path: Path):
    outside = make_set(tmp_path / "outside", {"secret.png": "secret words"})
    folder = make_set(tmp_path / "p", {"a.png": None, "b.png": "x"})
    (folder / "a.txt").symlink_to(outside / "secret.txt")
    (folder / "linked.png").symlink_to(outside / "secret.png")
    (folder / "folder").symlink_to(outside)
    (folder / "inner.png").symlink_to(folder / "b.png")
    editor = open_editor(folder)
    assert names(editor, everything(editor)) == ["a.png", "b.png", "inner.png"]
    assert "leads out" in editor.entry(0).caption.problem and editor.entry(0).caption.text is None
    assert sorted(item.path.name for item in editor.left_out) == ["folder", "linked.png"]
    editor.apply(Operation("add", ("y",)), everything(editor), "")
    assert (outside / "secret.txt").read_text() == "secret words"
    with pytest.raises(DatasetError):
        editor.picture("linked.png")
    delete_pictures(editor, numbers(editor, "inner.png"))
    assert (folder / "b.png").exists() and not (folder / "inner.png").is_symlink()


@pytest.mark.parametrize("path", ["../outside/a.png", "/etc/passwd", "a.txt", ".lora_train/journal/state.json", "",
                                  "x\0", "folder/../../outside/a.png", "nothing.png"])
def test_only_pictures_of_the_dataset_are_handed_out(editor: CaptionEditor, path: str):
    with pytest.raises(DatasetError):
        editor.picture(path)
    with editor.picture("a.png") as file:
        assert file.read() == (editor.folder / "a.png").read_bytes()


def test_confidences_sort_tags_and_are_read_again_when_they_change(editor: CaptionEditor, folder: Path):
    file = folder / HIDDEN_FOLDER / "confidences.json"
    file.write_text(json.dumps({"a.png": {"hat": 0.9, "red_boots": 0.5}}), encoding="utf-8")
    editor.apply(Operation("sort", order="confidence"), everything(editor), "penny")
    assert texts(folder)["a.txt"] == "penny, hat, red boots"
    file.write_text(json.dumps({"a.png": {"hat": 0.1, "red_boots": 0.5}, "b.png": {}}), encoding="utf-8")
    editor.apply(Operation("sort", order="confidence"), everything(editor), "penny")
    assert texts(folder)["a.txt"] == "penny, red boots, hat"


def test_a_preview_writes_nothing(editor: CaptionEditor, folder: Path):
    before = texts(folder)
    found = editor.preview(Operation("replace", ("hat",), "cap"), everything(editor), "")
    assert [(item.before, item.after) for item in found] == [
        ("penny, red boots, hat", "penny, red boots, cap"), ("penny, hat\r\n", "penny, cap\r\n")]
    assert texts(folder) == before


def test_deleted_pictures_go_to_the_trash_with_their_captions_and_come_back(editor: CaptionEditor, folder: Path):
    before = texts(folder)
    delete_pictures(editor, numbers(editor, "a.png", "d.png", "2_cat/e.png"))
    assert names(editor, everything(editor)) == ["b.png", "c.png"]
    assert len(list((folder / ".lora_train_trash").rglob("*.png"))) == 3
    assert sorted(texts(folder)) == ["b.txt", "c.txt"]
    editor.undo()
    assert texts(folder) == before and names(editor, everything(editor))[-1] == "2_cat/e.png"
    assert index_state(editor) == fresh_index(folder)


def test_masks_go_with_their_images_to_the_trash_to_another_folder_and_into_copies(tmp_path: Path):
    folder = make_set(tmp_path / "p", {"a.png": "x", "b.png": "y", "2_cat/b.png": "z"})
    for mask in ("a-mask.png", "mask/b.png", "2_cat/a-mask.png"):  # the last one is an image, without a.png beside it
        save_picture(folder / mask)
    save_picture(folder / "a.jpg")
    editor = open_editor(folder)
    before = {name: editor.index.of_path(name).file.mask for name in names(editor, everything(editor))}
    assert before == {"2_cat/a-mask.png": "", "2_cat/b.png": "", "a.jpg": "a-mask.png", "a.png": "a-mask.png",
                      "b.png": "mask/b.png"}
    content = (folder / "mask/b.png").read_bytes()
    for change in (move_pictures, copy_pictures):
        change(editor, numbers(editor, "a.png", "b.png"), "2_cat")
        assert (folder / "2_cat/b-2-mask.png").read_bytes() == content and editor.entry(
            numbers(editor, "2_cat/a-2.png")[0]).file.mask == "2_cat/a-2-mask.png"
        assert (folder / "a-mask.png").exists(), "a.jpg still needs it"
        assert (folder / "mask/b.png").exists() == (change is copy_pictures)
        editor.undo()
    delete_pictures(editor, numbers(editor, "a.jpg", "b.png"))
    assert (folder / "a-mask.png").exists() and not (folder / "mask/b.png").exists()
    delete_pictures(editor, numbers(editor, "a.png"))
    assert names(editor, everything(editor)) == ["2_cat/a-mask.png", "2_cat/b.png"], "no mask becomes an image"
    editor.undo()
    editor.undo()
    assert {name: editor.index.of_path(name).file.mask for name in names(editor, everything(editor))} == before


def test_moved_pictures_never_overwrite_others(editor: CaptionEditor, folder: Path):
    save_picture(folder / "2_cat/a.png", seed=99)
    (folder / "2_cat/b.txt").write_text("a caption without an image", encoding="utf-8")
    editor.refresh()
    before = texts(folder)
    move_pictures(editor, numbers(editor, "a.png", "b.png", "2_cat/e.png"), "2_cat")
    assert texts(folder) == {"2_cat/a-2.txt": before["a.txt"], "2_cat/b-2.txt": before["b.txt"],
                             "2_cat/b.txt": before["2_cat/b.txt"], "2_cat/e.txt": before["2_cat/e.txt"],
                             "c.txt": before["c.txt"]}
    editor.undo()
    assert texts(folder) == before and index_state(editor) == fresh_index(folder)


@pytest.mark.parametrize("others", [["a.jpg"], ["a.jpg", "a.webp"]])
@pytest.mark.parametrize("with_taken_name", [False, True])
def test_images_that_share_a_caption_and_move_together_all_keep_it(others, with_taken_name, editor: CaptionEditor,
                                                                  folder: Path):
    for seed, name in enumerate(others):
        save_picture(folder / name, seed=50 + seed)
    if with_taken_name:
        save_picture(folder / "2_cat/a.png", seed=99)
    editor.refresh()
    before = texts(folder)
    move_pictures(editor, numbers(editor, "a.png", *others), "2_cat")
    moved = [path for path in (folder / "2_cat").iterdir() if path.suffix in (".png", ".jpg", ".webp")
             and path.name not in ("e.png", "a.png" if with_taken_name else "")]
    assert len(moved) == 1 + len(others)
    assert {path.with_suffix(".txt").read_text(encoding="utf-8") for path in moved} == {before["a.txt"]}
    editor.undo()
    assert texts(folder) == before and index_state(editor) == fresh_index(folder)


def test_copies_are_taken_back_and_done_again(editor: CaptionEditor, folder: Path):
    copy_pictures(editor, numbers(editor, "a.png", "d.png"), "5_new concept")
    assert names(editor, everything(editor))[-2:] == ["5_new concept/a.png", "5_new concept/d.png"]
    assert texts(folder)["5_new concept/a.txt"] == "penny, red boots, hat"
    editor.undo()
    assert len(everything(editor)) == 5
    editor.redo()
    assert (folder / "5_new concept/a.png").read_bytes() == (folder / "a.png").read_bytes()


def test_endings_and_folders_are_renamed(editor: CaptionEditor, folder: Path):
    (folder / "d.png").rename(folder / "d.PNG")
    editor.refresh()
    lower_case_endings(editor, everything(editor))
    rename_folder(editor, "2_cat", "7_cat")
    assert names(editor, everything(editor)) == ["a.png", "b.png", "c.png", "d.png", "7_cat/e.png"]
    editor.undo()
    editor.undo()
    assert (folder / "d.PNG").exists() and (folder / "2_cat/e.txt").exists()


@pytest.mark.parametrize("target", ["../out", "/tmp/out", ".hidden", ".lora_train", "link", "a.png", "x/../../y"])
def test_pictures_cannot_be_moved_out_or_away_from_sight(editor: CaptionEditor, folder: Path, target: str):
    (folder.parent / "elsewhere").mkdir()
    (folder / "link").symlink_to(folder.parent / "elsewhere")
    before = texts(folder)
    for act in (move_pictures, copy_pictures):
        with pytest.raises(DatasetError):
            act(editor, everything(editor), target)
    assert texts(folder) == before and not list((folder.parent / "elsewhere").iterdir())


@pytest.mark.parametrize(("of", "name"), [("2_cat", "../x"), ("2_cat", ""), ("../pictures", "x"), ("2_cat", ".x"),
                                          ("2_cat", "a/b"), (".lora_train", "x")])
def test_folders_cannot_be_renamed_out(editor: CaptionEditor, of: str, name: str):
    with pytest.raises(DatasetError):
        rename_folder(editor, of, name)


def test_sizes_come_from_the_cache_unless_the_picture_changed(folder: Path, monkeypatch: pytest.MonkeyPatch):
    open_editor(folder)
    read = []
    monkeypatch.setattr("lib_lora_train.pictures.facts.read_header",
                        lambda path, file: read.append(path.name) or pytest.fail("read again"))
    later = open_editor(folder)
    assert later.entry(0).width == 64 and read == []
    monkeypatch.undo()
    save_picture(folder / "a.png", 128, 96)
    later.refresh()
    assert later.entry(0).width == 0
    later.read_sizes()
    assert (later.entry(0).width, later.entry(0).height) == (128, 96)


def test_a_tagging_run_of_another_program_is_taken_back_in_the_editor(editor: CaptionEditor, folder: Path):
    Journal(folder).do("Tagged 2 images with a tagger", [
        Write("d.txt", None, b"penny, tagged"), Write("a.txt", CAPTIONS["a.png"].encode(), b"penny, tagged")], {})
    assert editor.refresh() and names(editor, editor.index.bits_of("tagged")) == ["a.png", "d.png"]
    assert editor.undo().label == "Tagged 2 images with a tagger"
    assert index_state(editor) == fresh_index(folder)
    assert texts(folder)["a.txt"] == CAPTIONS["a.png"] and not (folder / "d.txt").exists()


def test_an_interrupted_edit_is_reported_when_the_dataset_is_opened_again(folder: Path):
    editor = open_editor(folder)
    editor.apply(Operation("add", ("solo",)), everything(editor), "")
    (folder / "a.txt").write_bytes(CAPTIONS["a.png"].encode())
    assert open_editor(folder).messages == ["The last edit was interrupted; it is finished now (1 file)."]
    assert texts(folder)["a.txt"].endswith("solo")


@pytest.mark.parametrize("text", [",", " , , ,\n", ",,,\n , \n", ", ,\t,"])
def test_a_caption_of_separators_alone_counts_as_empty(text, tmp_path):
    editor = open_editor(make_set(tmp_path / "set", {"a.png": text, "b.png": "penny, hat", "c.png": None}))
    assert names(editor, editor.index.without_caption) == ["a.png", "c.png"]


def test_a_caption_of_the_given_separator_alone_counts_as_empty(tmp_path):
    editor = open_editor(make_set(tmp_path / "set", {"a.png": "; ;", "b.png": "; hat", "c.png": ","}),
                         caption_separator=";")
    assert names(editor, editor.index.without_caption) == ["a.png"]
