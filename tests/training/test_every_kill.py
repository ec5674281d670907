"""kill -9 at every file operation of saving a LoRA and a training state, and in the middle of every write."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from lib_lora_train.config.job import Job
from lib_lora_train.networks.save import load_network_file
from lib_lora_train.runs.events import read_events
from lib_lora_train.runs.folder import STATE_FILE
from lib_lora_train.training.reporting.outputs import Outputs
from lib_lora_train.training.state import Progress, load_state, save_state
from tests.crashes import killed_at, killed_inside
from tests.figures import figure
from tests.training.conftest import bare_learner


def save(folder: Path, step: int) -> None:
    save_state(folder, bare_learner(float(step)), Progress(step=step), Job(), "pictures", before_too=True)


def loaded_step(folder: Path) -> int:
    into = bare_learner(0.0)
    progress = load_state(folder, into, Job(), 0, "pictures", pytest.fail)
    assert progress is not None and torch.equal(into.model.network.weight,
                                                torch.full((40, 40), float(progress.step)))
    return progress.step


@figure("kills: saving and state")
def test_a_state_that_a_run_can_resume_from_is_there_after_every_kill(tmp_path: Path):
    folder = tmp_path / "state"

    def check(what: str) -> int:
        step = loaded_step(folder)
        assert step in (2, 3), what
        save(folder, 4)
        assert loaded_step(folder) == 4
        assert {path.name for path in folder.iterdir()} <= {STATE_FILE, "before.pt"}, what
        return step

    def prepare() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        save(folder, 1)
        save(folder, 2)

    steps = set()
    for number in itertools.count(1):
        prepare()
        ended = killed_at(number, lambda: save(folder, 3))
        steps.add(check(f"at operation {number}"))
        if not ended:
            break
    assert steps == {2, 3} and number > 4
    for written in (0, 1, 1000, 5000):
        prepare()
        assert killed_inside(1, written, lambda: save(folder, 3))
        assert check(f"in a write, after {written} bytes") == 2


@pytest.mark.slow
@figure("kills: saving and state")
def test_a_lora_is_whole_or_absent_after_every_kill_and_the_next_try_completes_it(train, tmp_path, monkeypatch):
    original = Outputs.save
    tried: list[int] = []

    def checked(self: Outputs, network: Any, place: Any) -> Path:
        usual = self._folder
        if not tried:
            self._folder = tmp_path / "kills"
            path = self.file_for(place)
            for number in itertools.count(1):
                ended = killed_at(number, lambda: original(self, network, place))
                check(self, network, place, path, f"at operation {number}")
                if not ended:
                    break
            for written in (0, 1, 1000, 20_000):
                assert killed_inside(1, written, lambda: original(self, network, place))
                check(self, network, place, path, f"in a write, after {written} bytes")
            tried.append(number)
            self._folder = usual
        return original(self, network, place)

    def check(outputs: Outputs, network: Any, place: Any, path: Path, what: str) -> None:
        if path.exists():
            load_network_file(path)
        original(outputs, network, place)
        assert {one.name for one in path.parent.iterdir()} == {path.name, f"{path.stem}.json"}, what
        load_network_file(path)
        events, _ = read_events(outputs._run.events_file)
        assert [event for event in events if event["event"] == "saved"][-1]["path"] == str(path), what
        shutil.rmtree(path.parent)

    monkeypatch.setattr(Outputs, "save", checked)
    train()
    assert tried[0] > 6
