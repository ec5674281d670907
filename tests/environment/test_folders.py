"""How the folders stand is told apart, from what a crash, an update or another process left."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lib_lora_train.environment import folders
from lib_lora_train.environment.installing import remove_superseded
from lib_lora_train.files.lock import mark_in_use

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LORA_TRAIN_ENV", str(tmp_path))
    return tmp_path


def make_complete(requirements: tuple[str, ...]) -> Path:
    folder = folders.group_folder("base", requirements)
    (folder / "diffusers").mkdir(parents=True)
    (folder / "regex").mkdir()
    folders.write_stamp(folder, folder.name, requirements)
    return folder


@contextmanager
def other_process(code: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has run ``code`` and waits; it is killed at the end."""
    code += "\nprint('there', flush=True)\nimport time; time.sleep(3600)"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None and process.stdout.readline() == "there\n"
        yield process
    finally:
        process.kill()
        process.wait()


def test_nothing_installed_is_missing():
    assert folders.check().status == "missing"


def test_a_complete_folder_is_ready():
    make_complete(folders.pins_of("base"))
    state = folders.check()
    assert (state.status, state.ready) == ("ready", True)


def test_a_folder_that_lost_a_package_is_half_done_and_names_it():
    folder = make_complete(folders.pins_of("base"))
    (folder / "regex").rmdir()
    state = folders.check()
    assert state.status == "half-done"
    assert "lacks regex" in state.reason and "--repair" in state.reason


def test_a_folder_without_its_stamp_is_half_done():
    (make_complete(folders.pins_of("base")) / folders.STAMP_NAME).unlink()
    assert folders.check().status == "half-done"


def test_what_an_interrupted_installation_left_is_half_done():
    folder = folders.group_folder("base", folders.pins_of("base"))
    folder.with_name(f"{folder.name}.4711.new").mkdir(parents=True)
    state = folders.check()
    assert state.status == "half-done"
    assert "interrupted" in state.reason


def test_packages_with_other_pins_are_outdated():
    make_complete(("diffusers==0.30.0",))
    assert folders.check().status == "outdated"


def test_the_failure_of_the_last_try_is_reported_until_the_pins_change(root: Path):
    folder = folders.group_folder("base", folders.pins_of("base"))
    folders.failure_file("base").write_text(json.dumps({"folder": folder.name, "reason": "pip ended with code 1"}))
    state = folders.check()
    assert (state.status, state.reason, state.log_file) == ("half-done", "pip ended with code 1", root / "install.log")
    folders.failure_file("base").write_text(json.dumps({"folder": "base-cp310-00000000", "reason": "of other pins"}))
    assert folders.check().status == "missing"


def test_while_another_process_installs_it_says_which(root: Path):
    hold = ("from lib_lora_train.environment.installing import sole_installer\n"
            "held = sole_installer(print); held.__enter__()")
    with other_process(hold) as process:
        state = folders.check()
        assert state.status == "installing"
        assert str(process.pid) in state.reason
    assert folders.check().status == "missing"  # the lock ends with its process, even a killed one


def test_folders_of_earlier_pins_go_away_but_not_under_a_running_worker():
    old, current = make_complete(("diffusers==0.30.0",)), make_complete(folders.pins_of("base"))
    mark = (f"from pathlib import Path\nfrom lib_lora_train.files.lock import mark_in_use\n"
            f"mark_in_use(Path({str(old / folders.STAMP_NAME)!r}))")
    with other_process(mark):
        remove_superseded()
        assert old.exists()
    remove_superseded()
    assert not old.exists()
    assert current.exists()


def test_two_workers_can_run_on_one_folder():
    stamp = make_complete(folders.pins_of("base")) / folders.STAMP_NAME
    mark_in_use(stamp)
    mark_in_use(stamp)


def test_the_folder_of_another_machine_or_python_is_left_alone():
    windows = make_complete(("diffusers==0.30.0",))
    stamp = windows / folders.STAMP_NAME
    stamp.write_text(stamp.read_text().replace(json.loads(stamp.read_text())["platform"], "win-arm64"))
    other_python = windows.with_name("base-cp39-12345678")
    other_python.mkdir()
    stamp_of_other = other_python / folders.STAMP_NAME
    stamp_of_other.write_text("{}")
    remove_superseded()
    assert windows.exists() and other_python.exists()
    assert folders.check().status == "missing"
    assert not folders.was_chosen("base")
