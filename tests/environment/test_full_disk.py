"""A disk that refuses, or a kill, while the worker's packages are installed: a sentence, and never a half of them."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest

from lib_lora_train import environment
from lib_lora_train.environment import folders, installing, interpreter, pip_install
from lib_lora_train.environment.pip_install import NotOfferedError
from lib_lora_train.errors import WorkerEnvironmentError
from tests.crashes import cut_off, failing, killed_at, operations_seen, refused_in_turn
from tests.figures import FULL, count, figure

HINTS = ("Free some space", "another disk", "writable for you")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where an installation of two small packages goes; pip's place is taken by a function."""
    def unpack(python: str, pins: object, progress: object, target: Path | None = None) -> None:
        assert target is not None
        for name in ("one", "two", "bin"):
            (target / name).mkdir()
            (target / name / "__init__.py").write_text("x = 1\n" * 100)

    monkeypatch.setenv(folders.ROOT_VARIABLE, str(tmp_path / "root"))
    monkeypatch.setattr(installing, "install_pins", unpack)
    monkeypatch.setattr(installing, "_RENAME_PAUSE_SECONDS", 0.0)
    return tmp_path / "root"


def install() -> None:
    environment.install(lambda sentence: None, wait=False)


def repair() -> None:
    environment.repair(lambda sentence: None)


def is_whole() -> bool:
    state = environment.check()
    if state.ready:
        there = {path.name for path in state.folder.iterdir()} - {"bin"}  # harmless if it could not be removed
        assert there == {"one", "two", folders.STAMP_NAME}
        assert (state.folder / "two" / "__init__.py").read_text() == "x = 1\n" * 100
    return state.ready


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_each_refused_write_of_an_installation_is_reported_and_the_next_try_completes_it(root: Path, code: int):
    def check(sentence: str | None, at: int) -> None:
        if sentence is not None:
            assert any(hint in sentence for hint in HINTS) and str(root) in sentence, (at, sentence)
        if not is_whole():
            assert "[Errno" not in environment.check().reason
        repair()
        assert is_whole(), at
        assert not list(root.glob("*.new")) and not list(root.glob("*.tmp")), at

    with figure("refused writes: environment") as counted:
        counted.tried = refused_in_turn(install, lambda: shutil.rmtree(root, ignore_errors=True), check, [code],
                                        lambda at: FULL or at % 3 == 1)
    assert counted.tried >= count(2, 6)


def test_an_installation_that_is_killed_anywhere_is_noticed_and_repaired(root: Path):
    at = 0
    with figure("kills: environment"):
        while True:
            at += count(3, 1)
            shutil.rmtree(root, ignore_errors=True)
            ended = killed_at(at, install)
            is_whole()
            repair()
            assert is_whole() and not list(root.glob("*.new")), at
            if not ended:
                break
    assert at > 6


@pytest.mark.parametrize("written", [0, 20, 400])
def test_an_installation_that_does_not_fit_is_reported(root: Path, written: int):
    with cut_off(1, written), pytest.raises(WorkerEnvironmentError) as caught:
        install()
    assert "[Errno" not in str(caught.value) and "File too large" in str(caught.value)
    assert not is_whole()
    repair()
    assert is_whole()


def test_the_cause_is_reported_even_if_it_cannot_be_noted(root: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*given: object) -> None:
        raise WorkerEnvironmentError("pip ended with code 1: there is no network")

    monkeypatch.setattr(installing, "install_pins", fail)
    with pytest.raises(WorkerEnvironmentError, match="there is no network"):
        install()
    seen, at = operations_seen(), 0
    while at <= seen + 20:
        at += 1
        shutil.rmtree(root, ignore_errors=True)
        with failing(at, 1), pytest.raises(WorkerEnvironmentError, match="there is no network|Free some space"):
            install()
        seen = operations_seen()
        if seen < at:
            break
    assert "there is no network" in json.loads(folders.failure_file("base").read_text())["reason"]


FOUND_NOTHING = "ERROR: No matching distribution found for torch==2.13.0+cpu"


@pytest.mark.parametrize(("said", "not_offered"), [
    ([FOUND_NOTHING], True),
    (["ERROR: Could not find a version that satisfies the requirement (from versions: 2.12.0)", FOUND_NOTHING], True),
    (["WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError'", FOUND_NOTHING], False),
    (["Could not fetch URL https://x/: connection error: HTTPSConnectionPool", FOUND_NOTHING], False),
    (["ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"], False),
    (["ERROR: Exception:", "Traceback"], False), ([], False)])
def test_only_what_pip_looked_for_and_did_not_find_counts_as_not_offered(said: list[str], not_offered: bool):
    assert pip_install._is_not_offered(said) is not_offered


@pytest.mark.parametrize("problem", [
    "pip ended with code 1: ERROR: Could not install packages due to an OSError: No space left on device",
    "pip ended with code 1: WARNING: Retrying after connection broken", "pip ended with code 2: Killed"])
def test_the_usual_torch_is_not_installed_when_the_cpu_build_failed_for_another_reason(monkeypatch, problem: str):
    asked: list[list[str]] = []

    def fail(python: str, pins: list[str], progress: object) -> None:
        asked.append(list(pins))
        raise WorkerEnvironmentError(problem)

    monkeypatch.setattr(interpreter, "install_pins", fail)
    with pytest.raises(WorkerEnvironmentError) as caught:
        interpreter._install_torch("python", ["torch==2.13.0", "numpy==1.26.4"], pytest.fail)
    assert str(caught.value) == problem
    assert asked == [["torch==2.13.0+cpu", "numpy==1.26.4"]]


@pytest.mark.parametrize("problem", [f"pip ended with code 1: {FOUND_NOTHING}",
                                     "torch-2.13.0+cpu-cp310.whl is not the file that was checked"])
def test_the_usual_torch_is_installed_where_the_cpu_build_is_not_offered_and_the_reason_is_said(monkeypatch,
                                                                                              problem: str):
    asked, said = [], []

    def offer(python: str, pins: list[str], progress: object) -> None:
        asked.append(pins[0])
        if pins[0].endswith("+cpu"):
            raise NotOfferedError(problem)

    monkeypatch.setattr(interpreter, "install_pins", offer)
    interpreter._install_torch("python", ["torch==2.13.0"], said.append)
    assert asked == ["torch==2.13.0+cpu", "torch==2.13.0"]
    assert len(said) == 1 and problem in said[0] and "usual one" in said[0]
