"""kill -9 in the middle of an edit: every caption is the old or the new, and undo still works."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lib_lora_train.captions.journal.journal import Journal

pytestmark = pytest.mark.slow

FILES = 200

EDIT = """
import os, signal, sys
from pathlib import Path
from lib_lora_train.files.swap import SwapArea
from lib_lora_train.captions.journal.journal import Journal
from lib_lora_train.captions.journal.format import Write

folder, die_in, die_after = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if die_in:
    original, calls = getattr(SwapArea, die_in), []
    def counted(self, *arguments):
        if len(calls) == die_after:
            os.kill(os.getpid(), signal.SIGKILL)
        calls.append(1)
        return original(self, *arguments)
    setattr(SwapArea, die_in, counted)
journal = Journal(folder)
changes = [Write(path.name, data, data + b", and more words") for path in sorted(folder.glob("*.txt"))
           if (data := path.read_bytes()) is not None]
print("go", flush=True)
journal.do("Added words", changes, {})
print("done", flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(FILES):
        (tmp_path / f"{number}.txt").write_bytes(old(number))
    return tmp_path


def old(number: int) -> bytes:
    return f"penny, number {number}, {'a tag that is long, ' * (number % 50)}end".encode()


def new(number: int) -> bytes:
    return old(number) + b", and more words"


def start(folder: Path, die_in: str = "", die_after: int = 0) -> subprocess.Popen[str]:
    program = subprocess.Popen([sys.executable, "-c", EDIT, str(folder), die_in, str(die_after)],
                               stdout=subprocess.PIPE, text=True)
    assert program.stdout.readline() == "go\n"
    return program


def how_many_new(folder: Path) -> int:
    """Checks that each caption is the old or the new, and counts the new."""
    count = 0
    for number in range(FILES):
        content = (folder / f"{number}.txt").read_bytes()
        assert content in (old(number), new(number)), f"{number}.txt is {content!r}"
        count += content == new(number)
    return count


def check_recovery(folder: Path) -> int:
    """After recovery the edit is wholly done or not at all, and undo takes it back; how many files it has changed."""
    journal = Journal(folder)
    journal.recover()
    changed = how_many_new(folder)
    assert changed == (FILES if journal.history().position else 0)
    if changed:
        journal.undo()
    assert how_many_new(folder) == 0
    journal.settle()
    assert not [path for path in folder.iterdir() if path.name.endswith(".tmp") or "-new-" in path.name]
    return changed


@pytest.mark.parametrize(("die_in", "die_after", "seen", "recovered"), [
    ("stage", 100, 0, 0),
    ("put_in_place", 0, 0, FILES),
    ("put_in_place", 1, 1, FILES),
    ("put_in_place", 100, 100, FILES),
    ("put_in_place", FILES - 1, FILES - 1, FILES),
])
def test_killed_at_a_certain_file(folder: Path, die_in: str, die_after: int, seen: int, recovered: int):
    program = start(folder, die_in, die_after)
    assert program.wait() == -signal.SIGKILL
    assert how_many_new(folder) == seen
    assert check_recovery(folder) == recovered


def test_killed_while_undoing(folder: Path):
    program = start(folder)
    assert program.wait() == 0
    undo = EDIT.split("journal = Journal(folder)")[0] + "Journal(folder).undo()"
    killed = subprocess.run([sys.executable, "-c", undo, str(folder), "put_in_place", "66"])
    assert killed.returncode == -signal.SIGKILL
    assert how_many_new(folder) == FILES - 66
    journal = Journal(folder)
    assert len(journal.recover().finished) == FILES - 66
    assert how_many_new(folder) == 0 and journal.history().position == 0
    journal.redo()
    assert how_many_new(folder) == FILES
