"""Edits are wholly done or not at all, can be taken back in any later session, and never overwrite another's work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lib_lora_train.captions.journal import recover as journal_recover
from lib_lora_train.captions.journal.apply import ConflictError
from lib_lora_train.captions.journal.format import Move, Write, read_state, write_batch, write_state
from lib_lora_train.captions.journal.journal import Journal
from lib_lora_train.errors import DatasetError
from lib_lora_train.files.confine import HIDDEN_FOLDER, Spot
from lib_lora_train.files.swap import Stamp, SwapArea

CONTENTS = {
    "plain.txt": b"penny, red boots",
    "crlf.txt": b"penny, red boots\r\nsecond line\r\n",
    "bom.txt": b"\xef\xbb\xbfpenny",
    "latin.txt": b"caf\xe9, penny",
    "sub/deep.txt": "日本, penny\n".encode(),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in CONTENTS.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.txt")
            if HIDDEN_FOLDER not in path.parts and ".lora_train_trash" not in path.parts}


def appended(folder: Path, more: bytes = b", new") -> list[Write]:
    return [Write(path, data, data + more) for path, data in sorted(contents(folder).items())]


def test_an_edit_is_undone_and_redone_byte_for_byte_in_a_later_session(folder: Path):
    Journal(folder).do("Added new", appended(folder), {})
    after = contents(folder)
    assert after == {path: data + b", new" for path, data in CONTENTS.items()}
    assert Journal(folder).undo().label == "Added new"
    assert contents(folder) == CONTENTS
    Journal(folder).redo()
    assert contents(folder) == after


def test_files_that_are_made_and_deleted_come_and_go_with_undo(folder: Path):
    journal = Journal(folder)
    journal.do("one", [Write("made.txt", None, b"penny"), Write("plain.txt", CONTENTS["plain.txt"], None)], {})
    assert contents(folder)["made.txt"] == b"penny" and not (folder / "plain.txt").exists()
    journal.undo()
    assert contents(folder) == CONTENTS


def test_a_new_edit_after_undo_ends_the_redo(folder: Path):
    journal = Journal(folder)
    journal.do("one", appended(folder, b"1"), {})
    journal.undo()
    journal.do("two", appended(folder, b"2"), {})
    assert [batch.label for batch in journal.history().batches] == ["two"]
    with pytest.raises(DatasetError, match="nothing to redo"):
        journal.redo()
    journal.settle()
    assert len(list((folder / HIDDEN_FOLDER / "journal").glob("*.batch"))) == 1


def test_nothing_at_all_is_written_if_one_file_was_changed_by_another_program(folder: Path):
    changes = appended(folder)
    (folder / "plain.txt").write_bytes(b"somebody else's words")
    with pytest.raises(ConflictError, match=r"1 file was changed by another program meanwhile: plain\.txt") as caught:
        Journal(folder).do("Added new", changes, {})
    assert caught.value.paths == ("plain.txt",)
    assert contents(folder) == {**CONTENTS, "plain.txt": b"somebody else's words"}
    assert Journal(folder).history().position == 0


def test_a_change_of_the_same_length_and_time_is_noticed_in_spite_of_its_stamp(folder: Path):
    file = folder / "plain.txt"
    stamp = Stamp.of(file.stat())
    times = file.stat()
    file.write_bytes(b"penny, RED boots")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(ConflictError):
        Journal(folder).do("x", [Write("plain.txt", CONTENTS["plain.txt"], b"mine")], {"plain.txt": stamp})


def test_a_touched_file_with_the_same_content_is_no_conflict(folder: Path):
    file = folder / "plain.txt"
    stamp = Stamp.of(file.stat())
    os.utime(file, (1, 1))
    Journal(folder).do("x", [Write("plain.txt", CONTENTS["plain.txt"], b"mine")], {"plain.txt": stamp})
    assert file.read_bytes() == b"mine"


def test_undo_refuses_conflicts_but_can_leave_them_out(folder: Path):
    journal = Journal(folder)
    journal.do("Added new", appended(folder), {})
    (folder / "bom.txt").write_bytes(b"theirs")
    with pytest.raises(ConflictError) as caught:
        journal.undo()
    assert contents(folder)["plain.txt"] == CONTENTS["plain.txt"] + b", new"
    journal.undo(leave=caught.value.paths)
    assert contents(folder) == {**CONTENTS, "bom.txt": b"theirs"}


def test_moves_never_overwrite_and_are_undone(folder: Path):
    journal = Journal(folder)
    with pytest.raises(ConflictError):
        journal.do("Moved", [Move("plain.txt", "bom.txt")], {})
    journal.do("Moved", [Move("plain.txt", ".lora_train_trash/1/plain.txt"), Move("sub", "5_penny")], {})
    assert (folder / ".lora_train_trash/1/plain.txt").exists() and (folder / "5_penny/deep.txt").exists()
    journal.undo()
    assert contents(folder) == CONTENTS


def test_one_edit_replaces_a_file_by_another_and_is_undone_and_redone(folder: Path):
    (folder / "a.png").write_bytes(b"old")
    (folder / ".lora_train/copies").mkdir(parents=True)
    (folder / ".lora_train/copies/a.png").write_bytes(b"new")
    journal = Journal(folder)
    away, into = Move("a.png", ".lora_train_trash/1/a.png"), Move(".lora_train/copies/a.png", "a.png")
    with pytest.raises(ConflictError):
        journal.do("Replaced in the wrong order", [into, away], {})
    journal.do("Replaced", [away, into], {})
    assert (folder / "a.png").read_bytes() == b"new" and (folder / away.target).read_bytes() == b"old"
    journal.undo()
    assert (folder / "a.png").read_bytes() == b"old" and (folder / into.source).read_bytes() == b"new"
    journal.redo()
    assert (folder / "a.png").read_bytes() == b"new"
    (folder / away.target).rename(folder / "elsewhere.png")
    with pytest.raises(ConflictError):
        journal.undo()
    assert (folder / "a.png").read_bytes() == b"new"


def test_a_rename_that_only_changes_letter_case_works(folder: Path):
    (folder / "A.PNG").write_bytes(b"x")
    Journal(folder).do("Renamed", [Move("A.PNG", "A.png")], {})
    assert (folder / "A.png").exists()


@pytest.mark.parametrize("path", ["../out.txt", "sub/../../out.txt", "/tmp/out.txt", "link/out.txt", "file-link.txt"])
def test_a_journal_from_elsewhere_cannot_write_outside_the_folder(folder: Path, path: str, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "out.txt").write_bytes(b"old")
    (folder / "link").symlink_to(outside)
    (folder / "file-link.txt").symlink_to(outside / "out.txt")
    journal = Journal(folder)
    journal.do("one", [Write("plain.txt", CONTENTS["plain.txt"], b"x")], {})
    write_batch(folder / HIDDEN_FOLDER / "journal", 1, [Write(path, b"evil", b"old")])
    with pytest.raises(DatasetError, match=r"leads out of|not a name inside"):
        journal.undo()
    assert (outside / "out.txt").read_bytes() == b"old"


def test_an_own_folder_that_is_a_link_is_refused(tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / HIDDEN_FOLDER).symlink_to(outside)
    with pytest.raises(DatasetError, match="is a link"):
        Journal(pictures)


def test_a_hard_link_elsewhere_keeps_its_content_over_many_edits(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lib_lora_train.files.swap._REUSED_AFTER_SECONDS", -1.0)
    kept = folder / "copy.bak"
    kept.hardlink_to(folder / "plain.txt")
    journal = Journal(folder)
    for number in range(6):
        journal.do("x", appended(folder, str(number).encode()), {})
    assert kept.read_bytes() == CONTENTS["plain.txt"]
    assert contents(folder) == {path: data + b"012345" for path, data in CONTENTS.items()}


def test_old_files_are_used_again_and_their_permissions_follow_the_caption(folder: Path,
                                                                           monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lib_lora_train.files.swap._REUSED_AFTER_SECONDS", -1.0)
    (folder / "plain.txt").chmod(0o640)
    journal = Journal(folder)
    for number in range(10):
        journal.do("x", appended(folder, b"x" * (10 - number)), {})
    assert (folder / "plain.txt").stat().st_mode & 0o777 == 0o640
    assert len(list((folder / HIDDEN_FOLDER / "spare").iterdir())) <= 2 * len(CONTENTS)


def test_a_full_disk_changes_nothing(folder: Path):
    program = f"""
import resource, sys
from pathlib import Path
from lib_lora_train.captions.journal.journal import Journal
from lib_lora_train.captions.journal.format import Write
from lib_lora_train.errors import DatasetError
journal = Journal(Path({str(folder)!r}))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    journal.do("x", [Write("plain.txt", {CONTENTS["plain.txt"]!r}, b"y"), Write("big.txt", None, b"x" * 100000)], {{}})
except DatasetError as problem:
    sys.exit(f"refused: {{problem}}")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "refused: The captions cannot be written: File too large. Nothing was changed." in done.stderr
    assert contents(folder) == CONTENTS
    assert Journal(folder).history().position == 0


def test_an_edit_that_fails_in_its_middle_is_taken_back(folder: Path, monkeypatch: pytest.MonkeyPatch):
    original = SwapArea.put_in_place
    calls = []

    def third_fails(self: SwapArea, staged: Spot, target: Spot) -> None:
        calls.append(target)
        if len(calls) == 3:
            raise PermissionError(13, "Permission denied", target.path)
        original(self, staged, target)

    monkeypatch.setattr(SwapArea, "put_in_place", third_fails)
    with pytest.raises(DatasetError, match="All files are as they were"):
        Journal(folder).do("x", appended(folder), {})
    assert contents(folder) == CONTENTS
    assert Journal(folder).history().position == 0 and not Journal(folder).recover().finished


def unsettle(folder: Path, **changed: object) -> None:
    """Let the journal stand as if the machine had died right after the last edit."""
    place = folder / HIDDEN_FOLDER / "journal"
    state = read_state(place)
    write_state(place, replace(state, unsettled=tuple(replace(edit, **changed) for edit in state.unsettled)))


def test_what_a_power_cut_emptied_is_written_again(folder: Path):
    Journal(folder).do("x", appended(folder), {})
    after = contents(folder)
    (folder / "plain.txt").write_bytes(b"")
    (folder / "crlf.txt").write_bytes(b"\0" * 20)
    (folder / "bom.txt").write_bytes(after["bom.txt"][:5])
    unsettle(folder, boot="another start of the machine")
    assert sorted(Journal(folder).recover().finished) == ["bom.txt", "crlf.txt", "plain.txt"]
    assert contents(folder) == after


def test_what_somebody_wrote_after_a_crash_is_left_alone(folder: Path):
    Journal(folder).do("x", appended(folder), {})
    (folder / "plain.txt").write_bytes(b"their words")
    found = Journal(folder).recover()
    assert found.left == ("plain.txt",) and not found.finished
    assert contents(folder)["plain.txt"] == b"their words"
    assert "left as they are" in journal_recover.sentences(found)[0]


def test_after_settling_a_later_change_is_never_mistaken_for_a_crash(folder: Path):
    journal = Journal(folder)
    journal.do("x", appended(folder), {})
    journal.settle()
    (folder / "plain.txt").write_bytes(CONTENTS["plain.txt"])
    assert Journal(folder).recover() == journal_recover.Recovered()
    assert contents(folder)["plain.txt"] == CONTENTS["plain.txt"]


def test_a_damaged_journal_says_so_and_touches_nothing(folder: Path):
    journal = Journal(folder)
    journal.do("x", appended(folder), {})
    after = contents(folder)
    (folder / HIDDEN_FOLDER / "journal" / "000001.batch").write_bytes(b"junk")
    with pytest.raises(DatasetError, match=r"000001\.batch, is missing or damaged"):
        journal.undo()
    (folder / HIDDEN_FOLDER / "journal" / "state.json").write_text('{"version": 1')
    assert "is damaged" in journal_recover.sentences(Journal(folder).recover())[0]
    assert contents(folder) == after


def test_old_edits_are_forgotten_beyond_the_limit(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lib_lora_train.captions.journal.journal.MOST_BATCHES", 3)
    journal = Journal(folder)
    for number in range(5):
        journal.do(str(number), appended(folder, b"x"), {})
    assert [batch.label for batch in journal.history().batches] == ["2", "3", "4"]
    journal.settle()
    assert len(list((folder / HIDDEN_FOLDER / "journal").glob("*.batch"))) == 3
    for _ in range(3):
        journal.undo()
    assert contents(folder) == {path: data + b"xx" for path, data in CONTENTS.items()}


def test_two_programs_take_turns(folder: Path):
    (folder / "plain.txt").write_bytes(b"")
    program = f"""
from pathlib import Path
from lib_lora_train.captions.journal.journal import Journal
from lib_lora_train.captions.journal.apply import ConflictError
from lib_lora_train.captions.journal.format import Write
journal, file, done = Journal(Path({str(folder)!r})), Path({str(folder / "plain.txt")!r}), 0
while done < 15:
    before = file.read_bytes()
    try:
        journal.do("x", [Write("plain.txt", before, before + b"x")], {{}})
        done += 1
    except ConflictError:
        pass
"""
    programs = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [one.wait(240) for one in programs] == [0, 0]
    assert (folder / "plain.txt").read_bytes() == b"x" * 30
    assert Journal(folder).history().position == 30


def test_the_history_shows_what_was_done_and_to_how_many(folder: Path):
    journal = Journal(folder)
    journal.do("Added new", appended(folder), {})
    only = journal.history().batches[0]
    assert (only.number, only.label, only.files) == (1, "Added new", len(CONTENTS))
    assert json.loads((folder / HIDDEN_FOLDER / "journal" / "state.json").read_text())["position"] == 1
