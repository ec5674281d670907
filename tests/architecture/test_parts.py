"""The test command runs every test."""

from __future__ import annotations

from pathlib import Path

from tests import run

TESTS = Path(run.__file__).parent


def test_every_folder_with_tests_belongs_to_a_part():
    folders = {path.relative_to(TESTS).parts[0] for path in TESTS.rglob("test_*.py")}
    parts = {*run.ENVIRONMENT_TESTS, *run.WORKER_TESTS, *run.LENDING_TESTS, *run.TRAINING_TESTS, *run.CAPTION_TESTS,
             *run.HOST_TESTS, *run.BROWSER_TESTS}
    assert folders <= parts
    assert all((TESTS / name).is_dir() for name in parts)
    for names, room in ((run.SWEEP, run.TRAINING_TESTS), (run.FAMILIES, run.TRAINING_TESTS),
                        (run.KILLS, run.CAPTION_TESTS), (run.WORKER_KILLS, run.WORKER_TESTS),
                        (run.EDITOR, run.BROWSER_TESTS)):  # left out of the part where they would be otherwise
        assert all(name.split("/")[0] in room and (TESTS / name).exists() for name in names)


def test_what_runs_with_the_webuis_pins_too_is_a_test_of_the_workers():
    for name, reason in run.TWICE.items():
        assert name.split("/")[0] in run.WORKER_TESTS, name
        assert (TESTS / name).is_file() and reason
