"""The test command runs every test."""

from __future__ import annotations

from pathlib import Path

from tests import run

TESTS = Path(run.__file__).parent


def test_every_folder_with_tests_belongs_to_a_part():
    folders = {path.relative_to(TESTS).parts[0] for path in TESTS.rglob("test_*.py")}
    parts = {*run.ENVIRONMENT_TESTS, *run.WORKER_TESTS, *run.TRAINING_TESTS, *run.CAPTION_TESTS,
             *run.HOST_TESTS, *run.BROWSER_TESTS}
    assert folders <= parts
    assert all((TESTS / name).is_dir() for name in parts)
    for name in (*run.SWEEP, *run.FAMILIES):  # left out of training, where they would be otherwise
        assert name.split("/")[0] in run.TRAINING_TESTS and (TESTS / name).is_file()


def test_what_runs_with_the_webuis_pins_too_is_a_test_of_the_workers():
    for name, reason in run.TWICE.items():
        assert name.split("/")[0] in run.WORKER_TESTS, name
        assert (TESTS / name).is_file() and reason
