"""Cropping and turning images of a dataset: as new images or in place, with caption and mask, undone and redone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_lora_train.captions.editor.editor import CaptionEditor
from lib_lora_train.captions.editor.image_edits import ImageEdit, StoppedError, edit_images
from lib_lora_train.captions.editor.new_files import _ABANDONED_SECONDS, NewFiles
from lib_lora_train.captions.editor.pictures import delete_pictures
from lib_lora_train.captions.journal.apply import ConflictError
from lib_lora_train.errors import DatasetError
from lib_lora_train.pictures.editing.turning import Frame, Turn

from ..sets import make_set, numbers, open_editor, save_picture

CROP = Frame(8, 16, 40, 56)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = make_set(tmp_path / "set", {"a.png": "penny, full body", "b.png": None, "2_cat/c.png": "cat\r\nmore\r\n"})
    save_picture(found / "a-mask.png", seed=9)
    return found


def edit(editor: CaptionEditor, name: str, **options: object) -> ImageEdit:
    entry = editor.index.of_path(name)
    return ImageEdit(entry.id, entry.file, **{"frame": CROP, **options})


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.relative_to(folder).parts[0].startswith(".")}


def staged(folder: Path) -> list[str]:
    """The files in the trash."""
    return sorted(path.name for path in (folder / ".lora_train_trash").rglob("*") if path.is_file())


def test_a_new_image_has_the_pixels_of_the_crop_and_caption_and_mask_of_its_own(folder: Path):
    before = files(folder)
    editor = open_editor(folder)
    outcome = edit_images(editor, [edit(editor, "a.png", caption="penny, portrait")], "Made one")
    assert outcome.label == "Made one"
    new = {name: data for name, data in files(folder).items() if name not in before}
    assert sorted(new) == ["a-crop-mask.png", "a-crop.png", "a-crop.txt"] and new["a-crop.txt"] == b"penny, portrait"
    assert np.array_equal(pixels(folder / "a-crop.png"), pixels(folder / "a.png")[16:56, 8:40])
    mask = np.asarray(Image.open(folder / "a-mask.png").convert("L"))
    assert np.array_equal(pixels(folder / "a-crop-mask.png"), mask[16:56, 8:40])
    assert editor.index.of_path("a-crop.png").file.mask == "a-crop-mask.png"
    editor.undo()
    assert files(folder) == before
    again = open_editor(folder)  # after a restart
    again.redo()
    assert files(folder) == before | new and again.history().position == 1


def test_in_place_the_original_with_its_mask_is_in_the_trash_and_comes_back(folder: Path):
    before = files(folder)
    expected = np.rot90(pixels(folder / "a.png"), -1)[16:56, 8:40]
    editor = open_editor(folder)
    number = numbers(editor, "a.png")[0]
    outcome = edit_images(editor, [edit(editor, "a.png", in_place=True, turn=Turn(1), caption="penny")], "Turned")
    assert number in outcome.changed and numbers(editor, "a.png") == [number]
    assert np.array_equal(pixels(folder / "a.png"), expected) and (folder / "a.txt").read_bytes() == b"penny"
    trash = {path.name: path.read_bytes() for path in (folder / ".lora_train_trash").rglob("*.*")}
    assert trash == {name: before[name] for name in ("a.png", "a-mask.png")}
    assert pixels(folder / "a-mask.png").shape == (40, 32)
    outcome = open_editor(folder).undo()
    assert files(folder) == before and outcome.changed


def test_names_are_never_taken_twice_and_a_crop_of_a_crop_has_one_word(folder: Path):
    (folder / "a-crop.caption").write_text("someone else's")
    (folder / "A-FACE.JPG").write_bytes(b"x")
    editor = open_editor(folder)
    edit_images(editor, [edit(editor, "a.png"), edit(editor, "a.png", word="face"), edit(editor, "a.png")], "Three")
    assert {"a-crop.png", "a-crop-2.png", "a-face-2.png"} <= set(files(folder))
    edit_images(editor, [edit(editor, "a-crop-2.png", frame=Frame(0, 0, 20, 20), word="detail")], "One more")
    assert "a-detail.png" in files(folder)
    assert (folder / "A-FACE.JPG").read_bytes() == b"x"


def test_a_long_name_is_cut_and_a_caption_keeps_its_line_ends(folder: Path):
    name = "ä" * 120 + "w" * 11  # 251 bytes, the most there can be before .png
    save_picture(folder / f"{name}.png")
    editor = open_editor(folder)
    edit_images(editor, [edit(editor, f"{name}.png"), edit(editor, f"{name}.png"), edit(editor, "2_cat/c.png")], "Long")
    assert len(list(folder.glob("ä*-crop*.png"))) == 2
    assert (folder / "2_cat/c-crop.txt").read_bytes() == b"cat\r\nmore\r\n"
    assert not list(folder.glob("ä*.txt"))


def test_many_images_are_one_step_and_a_damaged_one_is_left_alone(folder: Path):
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:-200])
    before = files(folder)
    editor = open_editor(folder)
    edits = [edit(editor, name, in_place=True) for name in ("a.png", "b.png", "2_cat/c.png")]
    seen: list[tuple[int, int]] = []
    outcome = edit_images(editor, edits, "All", lambda done, total: seen.append((done, total)) is None)
    assert seen == [(0, 3), (1, 3), (2, 3)] and len(outcome.left) == 1 and "b.png left alone: it is" in outcome.left[0]
    assert pixels(folder / "a.png").shape[:2] == pixels(folder / "2_cat/c.png").shape[:2] == (40, 32)
    assert editor.history().position == 1
    editor.undo()
    assert files(folder) == before


def test_an_undone_image_is_in_the_trash_with_what_another_program_made_of_it(folder: Path):
    before, editor = files(folder), open_editor(folder)
    edit_images(editor, [edit(editor, "b.png", in_place=True)], "Cropped")
    (folder / "b.png").write_bytes(b"painted over")
    editor.undo()
    assert files(folder) == before
    assert next((folder / ".lora_train_trash").rglob("b.png")).read_bytes() == b"painted over"


@pytest.mark.parametrize(("name", "crop"), [
    ("b-made.png", "b-face-made.png"), ("a-edit-2.png", "a-face-edit.png"), ("-crop.png", "-crop-face.png"),
    ("x-CROP-3-Made.png", "x-CROP-3-face-made.png"), ("x-crop-2.png", "x-face.png")])
def test_a_crop_of_a_machine_made_image_is_marked_as_such(folder: Path, name: str, crop: str):
    save_picture(folder / name)
    editor = open_editor(folder)
    edit_images(editor, [edit(editor, name, word="face")], "Made one")
    assert (folder / crop).is_file()


def changed_meanwhile(folder: Path) -> None:
    save_picture(folder / "a.png", 80, 80, seed=77)


def gone_meanwhile(folder: Path) -> None:
    (folder / "a.png").unlink()


@pytest.mark.parametrize("meanwhile", [changed_meanwhile, gone_meanwhile])
@pytest.mark.parametrize("when", ["before", "while it is written"])
def test_an_image_that_another_program_changed_is_not_touched(folder: Path, meanwhile, when: str):
    editor = open_editor(folder)
    edits = [edit(editor, name, in_place=True) for name in ("a.png", "2_cat/c.png")]

    def progress(done: int, total: int) -> bool:
        if done == 1:
            meanwhile(folder)
        return True

    if when == "before":
        meanwhile(folder)
    expected = files(folder)
    with pytest.raises(ConflictError, match=r"a\.png"):
        edit_images(editor, edits, "All", progress)
    if when != "before":
        expected = {**expected, **{name: data for name, data in files(folder).items() if name == "a.png"}}
        expected = expected if (folder / "a.png").exists() else {k: v for k, v in expected.items() if k != "a.png"}
    assert files(folder) == expected and staged(folder) == []


@pytest.mark.parametrize(("options", "words"), [
    ({"frame": Frame(0, 0, 65, 64)}, "inside the image"), ({"frame": Frame(5, 5, 5, 60)}, "has 0x55 pixels"),
    ({"frame": Frame(0, 0, 1 << 60, 1)}, "at least 8x8"), ({"word": "../x"}, "cannot end the name"),
    ({"caption": "x" * 70_000}, "a caption may have")])
def test_what_cannot_be_is_refused_with_nothing_changed(folder: Path, options: dict[str, object], words: str):
    before, editor = files(folder), open_editor(folder)
    for in_place in (False, True):
        with pytest.raises(DatasetError, match=words):
            edit_images(editor, [edit(editor, "a.png", in_place=in_place, **options)], "No")
    assert files(folder) == before and staged(folder) == [] and editor.history().position == 0


def test_a_stopped_batch_and_a_deleted_image_change_nothing(folder: Path):
    editor = open_editor(folder)
    edits = [edit(editor, name, in_place=True) for name in ("a.png", "b.png")]
    before = files(folder)
    with pytest.raises(StoppedError, match="Nothing was changed"):
        edit_images(editor, edits, "All", lambda done, total: done < 1)
    assert files(folder) == before and staged(folder) == []
    delete_pictures(editor, numbers(editor, "b.png"))
    with pytest.raises(DatasetError, match=r"b\.png"):
        edit_images(editor, edits, "All")


def test_a_mask_of_two_images_and_one_of_another_shape_are_refused_in_words(folder: Path):
    save_picture(folder / "a.jpg")
    editor = open_editor(folder)
    with pytest.raises(DatasetError, match=r"mask a-mask\.png belongs to several images"):
        edit_images(editor, [edit(editor, "a.png", in_place=True)], "No")
    (folder / "a.jpg").unlink()
    save_picture(folder / "a-mask.png", 64, 32)
    editor.refresh()
    with pytest.raises(DatasetError, match="another shape"):
        edit_images(editor, [edit(editor, "a.png")], "No")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(folder: Path):
    editor = open_editor(folder)
    folder.chmod(0o500)
    try:
        with pytest.raises(DatasetError, match="writable"):
            edit_images(editor, [edit(editor, "a.png")], "No")
    finally:
        folder.chmod(0o700)


def test_files_of_an_interrupted_edit_are_deleted_a_day_later_and_those_of_the_history_never(folder: Path):
    editor = open_editor(folder)
    edit_images(editor, [edit(editor, "b.png")], "Made one")
    editor.undo()
    NewFiles(folder).write(b"half done", "x.png")
    kept = staged(folder)
    for old, left in ((0.0, kept), (_ABANDONED_SECONDS + 60, [name for name in kept if name != "unfinished"][:1])):
        for mark in (folder / ".lora_train_trash").glob("*/unfinished"):
            os.utime(mark, (mark.stat().st_atime, mark.stat().st_mtime - old))
        editor = open_editor(folder)
        assert staged(folder) == left
    editor.redo()
    assert (folder / "b-crop.png").is_file()
