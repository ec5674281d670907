"""What the user writes on a run is kept, and a damaged note is reported and can be replaced."""

from __future__ import annotations

import json
import random

import pytest

from lib_lora_train.errors import RunError
from lib_lora_train.files.json_file import DamagedFileError
from lib_lora_train.runs.folder import create_run
from lib_lora_train.runs.notes import NOTE_FILE, RunNote, read_note, write_note
from lib_lora_train.runs.summary import RunIndex


@pytest.fixture
def run(tmp_path):
    return create_run(tmp_path, "penny", "save: {output_name: penny}\n")


def test_a_note_is_kept_and_shown_in_the_summary(run):
    index = RunIndex(run.path.parent)
    assert (index.of(run).name, index.of(run).starred) == ("penny", False)
    write_note(run, RunNote("  the\n good   one ", True, "line 1\nline 2"))
    summary = index.of(run)
    assert (summary.name, summary.starred, summary.note) == ("the good one", True, "line 1\nline 2")
    write_note(run, RunNote())
    assert index.of(run).name == "penny"


@pytest.mark.parametrize("note", [RunNote("x" * 101), RunNote(note="y" * 5001)])
def test_what_is_too_long_is_refused_with_its_length(run, note):
    with pytest.raises(RunError, match=r"101 characters|5,001 characters"):
        write_note(run, note)
    assert not (run.path / NOTE_FILE).exists()


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"name": 3}', b'{"starred": "yes"}', b'{"note": []}',
                                     b'{"name": "%s"}' % (b"x" * 200), b"\xff\xfe", b"[" * 5000])
def test_a_damaged_note_is_said_and_the_run_stays_usable(run, content):
    (run.path / NOTE_FILE).write_bytes(content)
    with pytest.raises(DamagedFileError):
        read_note(run)
    index = RunIndex(run.path.parent)
    assert NOTE_FILE in index.of(run).note_problem
    assert (index.of(run).name, index.of(run).state) == ("penny", "waiting")
    write_note(run, RunNote("again"))
    assert (index.of(run).name, index.of(run).note_problem) == ("again", "")


def test_a_folder_or_nonsense_in_place_of_the_note_never_raises_in_the_index(run):
    (run.path / NOTE_FILE).mkdir()
    assert NOTE_FILE in RunIndex(run.path.parent).of(run).note_problem
    (run.path / NOTE_FILE).rmdir()
    chance = random.Random(1)
    whole = json.dumps({"name": "penny", "starred": True, "note": "text"}).encode()
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        (run.path / NOTE_FILE).write_bytes(bytes(data))
        RunIndex(run.path.parent).of(run)
