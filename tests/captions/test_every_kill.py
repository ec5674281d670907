"""kill -9 at the file operations of the editor in turn, and in the middle of writes; in full at every one."""

from __future__ import annotations

import itertools
import shutil
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from lib_lora_train.captions.editor.editor import CaptionEditor
from lib_lora_train.captions.editor.image_edits import ImageEdit, edit_images
from lib_lora_train.captions.editor.masks import NewMask, put_masks
from lib_lora_train.captions.editor.operations import Operation
from lib_lora_train.captions.editor.pictures import copy_pictures, delete_pictures, move_pictures
from lib_lora_train.captions.tokens import TokenCounter
from lib_lora_train.config.groups.dataset import DatasetSettings
from lib_lora_train.pictures.editing.turning import Frame, Turn
from tests.crashes import killed_at, killed_inside
from tests.figures import count, figure


def _png(mode: str) -> bytes:
    content = BytesIO()
    Image.effect_noise((16, 16), 60).convert(mode).save(content, "PNG")
    return content.getvalue()


FILES = {"a.png": _png("RGB"), "a.txt": b"penny", "a-mask.png": _png("L"), "b.png": b"b", "b.txt": b"penny, hat",
         "c.png": b"c"}


STEP = count(3, 1)
"""Every third operation as a rule, from another one in each act; odd, since a file that is opened counts twice."""


def opened(folder: Path) -> CaptionEditor:
    return CaptionEditor(folder, DatasetSettings(), folder.parent / "facts.json", TokenCounter(None))


def add(editor: CaptionEditor, tag: str) -> None:
    editor.apply(Operation("add", (tag,)), editor.order(), "")


def crop(editor: CaptionEditor, **options: object) -> None:
    """Crop the image that has a caption and a mask."""
    entry = editor.index.of_path("a.png")
    edit_images(editor, [ImageEdit(entry.id, entry.file, Turn(1), Frame(2, 0, 12, 16), **options)], "Cropped")


def put_mask(editor: CaptionEditor) -> None:
    """Replace the mask of the image that has one."""
    put_masks(editor.folder, [NewMask("a.png", "a-mask.png", b"new")], lambda moves: editor.carry_out("Mask", moves))


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and not path.relative_to(folder).parts[0].startswith(".")}


ACTS: dict[str, Callable[[Path], object]] = {
    "edit": lambda folder: add(opened(folder), "three"),
    "undo": lambda folder: opened(folder).undo(),
    "redo": lambda folder: opened(folder).redo(),
    "settle": lambda folder: opened(folder).settle(),
    "delete": lambda folder: delete_pictures(opened(folder), [0, 2]),
    "move": lambda folder: move_pictures(opened(folder), [0, 1], "sub"),
    "mask": lambda folder: put_mask(opened(folder)),
    "copy": lambda folder: copy_pictures(opened(folder), [0, 2], "sub"),
    "crop": lambda folder: crop(opened(folder), caption="penny, close-up"),
    "crop in place": lambda folder: crop(opened(folder), in_place=True, caption="close-up"),
}


def prepared(folder: Path) -> Path:
    """Two edits in force, a third undone; what was undone first is dropped, and nothing is settled."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    editor = opened(folder)
    for tag in ("one", "two", "gone"):
        add(editor, tag)
    editor.undo()
    add(editor, "last")
    editor.undo()
    return folder


def recovered(folder: Path, before: dict[str, bytes], after: dict[str, bytes], what: str) -> None:
    """All of the act is done or none, nothing is set aside, and all the history can be undone and redone."""
    for name, content in files(folder).items():
        assert content in (before.get(name), after.get(name)), f"{name} is {content!r} after a kill {what}"
    editor = opened(folder)
    assert files(folder) in (before, after), what
    assert not (folder / ".lora_train" / "damaged").exists() and "missing" not in str(editor.messages), what
    now = files(folder)
    steps = editor.history().position
    for _ in range(steps):
        editor.undo()
    assert files(folder) == FILES, what
    for _ in range(steps):
        editor.redo()
    assert files(folder) == now, what
    editor.settle()
    left = [path.name for path in folder.rglob("*") if path.name.endswith(".tmp") or "-new-" in path.name]
    assert not left, f"{left} after a kill {what}"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "spares"), [*((name, True) for name in ACTS), ("edit", False), ("undo", False)],
                         ids=[*ACTS, "edit as on Windows", "undo as on Windows"])
@figure("kills: editor")
def test_killed_at_every_file_operation(memory: Path, name: str, spares: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lib_lora_train.files.swap._KEEPS_SPARES", spares)
    act = ACTS[name]
    before = files(prepared(memory / "set"))
    act(memory / "set")
    after = files(memory / "set")
    assert (before != after) is (name != "settle")
    first = zlib.crc32(name.encode()) % STEP
    for number in itertools.count(1 + first, STEP):
        folder = prepared(memory / "set")
        ended = killed_at(number, lambda: act(memory / "set"))
        recovered(folder, before, after, f"at operation {number}")
        if not ended:
            break
    assert number > 5
    for after_operation in range(1 + first, number, count(10, 2)):
        prepared(memory / "set")
        killed_inside(after_operation, after_operation % 5, lambda: act(memory / "set"))
        recovered(memory / "set", before, after, f"in a write after operation {after_operation}")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["edit", "undo", "move", "crop in place"])
@figure("kills: editor")
def test_killed_at_every_file_operation_of_the_recovery(memory: Path, name: str):
    """The first kill leaves half of the act; the second ones fall into finishing it, at each operation in turn."""
    act = ACTS[name]
    before = files(prepared(memory / "set"))
    act(memory / "set")
    after = files(memory / "set")
    number = 1
    while files(prepared(memory / "set")) == before:
        killed_at(number, lambda: act(memory / "set"))
        if files(memory / "set") not in (before, after):
            break
        number += 1
    for again in itertools.count(1, STEP):
        prepared(memory / "set")
        killed_at(number, lambda: act(memory / "set"))
        assert files(memory / "set") not in (before, after)
        ended = killed_at(again, lambda: opened(memory / "set"))
        recovered(memory / "set", before, after, f"at {number} and then at {again}")
        if not ended:
            break
