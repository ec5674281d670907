"""A disk that refuses any file operation of the editor: a sentence with the way out, and no word is lost."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from lib_lora_train.captions.editor.editor import CaptionEditor
from lib_lora_train.errors import DatasetError
from lib_lora_train.files.swap import SwapArea
from tests.crashes import cut_off, refused_in_turn
from tests.figures import FULL, count, figure

from .test_every_kill import ACTS, add, files, opened, prepared, recovered

CODES = [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO]
HINTS = ("Free some space", "Delete files", "on another disk", "writable for you", "Check the disk",
         "you may read and write it", "another program has it open")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "spares"), [(name, spares) for name in ACTS for spares in (True, False)
                                              if spares or FULL or name == "edit"])
def test_each_refused_operation_is_reported_and_the_edit_is_wholly_done_or_not_at_all(memory: Path, name: str,
                                                                                      spares: bool, monkeypatch):
    monkeypatch.setattr("lib_lora_train.files.swap._KEEPS_SPARES", spares)
    act, folder = ACTS[name], memory / "set"
    before = files(prepared(folder))
    act(folder)
    after = files(folder)
    done = 0

    def check(sentence: str | None, at: int) -> None:
        nonlocal done
        if sentence is not None:
            assert any(hint in sentence for hint in HINTS) or "edited" in sentence, (at, sentence)
        done += files(folder) == after
        recovered(folder, before, after, f"when operation {at} was refused")

    with figure("refused writes: editor") as counted:
        refused = refused_in_turn(lambda: act(folder), lambda: prepared(folder), check,
                                  CODES[:count(1, len(CODES))], lambda at: FULL or at % 6 == 3)
        counted.tried += refused
    assert refused >= count(1, 3) and done


def test_a_disk_that_is_full_in_the_middle_of_a_write_leaves_every_caption(memory: Path):
    folder = memory / "set"
    before = files(prepared(folder))
    for written in (0, 5, 40):
        editor = opened(folder)
        with cut_off(1, written), pytest.raises(DatasetError, match="File too large") as caught:
            add(editor, "x" * 60)
        assert "[Errno" not in str(caught.value) and "try again" in str(caught.value)
        assert files(folder) == before


def test_what_cannot_be_edited_can_still_be_read(memory: Path, monkeypatch):
    folder = memory / "set"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"a")
    (folder / "a.txt").write_text("penny")
    original = Path.mkdir

    def refuse(path: Path, *given: object, **named: object) -> None:
        if path.name.startswith(".lora_train"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        original(path, *given, **named)

    monkeypatch.setattr(Path, "mkdir", refuse)
    editor = opened(folder)
    assert editor.index.captions["a.txt"].text == "penny"
    assert "The disk is full" in str(editor.messages) and "Free some space" in str(editor.messages)
    with pytest.raises(DatasetError, match="Free some space"):
        add(editor, "hat")


@pytest.mark.parametrize("operation", ["stage", "put_in_place", "take_away"])
def test_a_swap_that_is_refused_leaves_the_old_file(memory: Path, operation: str, monkeypatch):
    """The area itself raises what the system says; what is in the folder is the old file or the new."""
    folder = prepared(memory / "set")
    before = files(folder)
    original = getattr(SwapArea, operation)

    def refuse(*given: object) -> None:
        monkeypatch.setattr(SwapArea, operation, original)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "spare")

    monkeypatch.setattr(SwapArea, operation, refuse)
    editor: CaptionEditor = opened(folder)
    act = (lambda: add(editor, "new")) if operation != "take_away" else lambda: [editor.undo() for _ in range(2)]
    with pytest.raises(DatasetError, match="Free some space") as caught:
        act()
    assert "No space left" not in str(caught.value) or "Nothing was changed" in str(caught.value)
    assert opened(folder) and (operation == "take_away" or files(folder) == before)
    shutil.rmtree(folder)
