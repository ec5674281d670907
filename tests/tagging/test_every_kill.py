"""kill -9 at every file operation of a tagging run, and in the middle of every write."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from lib_lora_train.captions.confidences import read_confidences
from lib_lora_train.captions.journal.journal import Journal
from tests.crashes import killed_at, killed_inside
from tests.figures import count, figure

from .conftest import captions_of, make_dataset, tag, tag_job

BEFORE = {"red_1": "mine", "blue_1": None, "green_1": "hat"}
AFTER = {"red_1": "mine, penny (series), red thing, ^_^", "blue_1": "blue thing, ^_^",
         "green_1": "hat, green thing, ^_^"}


@pytest.mark.slow
@figure("kills: tagging")
def test_a_run_that_is_killed_anywhere_and_resumed_tags_every_image_once(tmp_path: Path, colour_tagger: Path):
    folder, results = tmp_path / "set", tmp_path / "run" / "tags.jsonl"

    def run() -> None:
        reported = tag(tag_job(folder, colour_tagger, write__mode="append", tagger__decoding_threads=1), results)
        assert reported.last["event"] == "finished", reported.last

    def prepare() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(results.parent, ignore_errors=True)
        make_dataset(folder, BEFORE)

    def check(what: str) -> None:
        for name, text in captions_of(folder).items():
            assert text in (BEFORE[name], AFTER[name]), f"{name} is {text!r} after a kill {what}"
        assert not killed_at(1_000_000, run)  # the same run, resumed
        assert captions_of(folder) == AFTER, what
        assert len(read_confidences(folder)) == 3, what
        left = [path.name for path in folder.rglob("*") if path.name.endswith(".tmp") or "-new-" in path.name]
        assert not left, f"{left} after a kill {what}"
        journal = Journal(folder.resolve())
        assert journal.recover().damaged == ()
        for _ in range(journal.history().position):
            journal.undo()
        assert captions_of(folder) == BEFORE, what

    for number in itertools.count(1, count(3, 1)):
        prepare()
        ended = killed_at(number, run)
        check(f"at operation {number}")
        if not ended:
            break
    assert number > 15
    for operation in range(1, number, count(9, 4)):
        prepare()
        killed_inside(operation, operation % 7, run)
        check(f"in a write after operation {operation}")
