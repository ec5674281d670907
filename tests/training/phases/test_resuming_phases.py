"""A run of several phases that was killed in any of them, or between two, resumes bit for bit."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState

from lib_lora_train.batches.timeline import timeline_of
from lib_lora_train.config.load import job_from, job_to_yaml, load_job
from lib_lora_train.config.optimizer_facts import OPTIMIZERS
from lib_lora_train.pictures.scan import scan_dataset
from lib_lora_train.runs.continuing import MORE, ContinueOptions, keep_changes, plan_continuation
from lib_lora_train.runs.events import EventWriter, read_events
from lib_lora_train.runs.folder import RunFolder, create_run
from lib_lora_train.runs.summary import RunIndex
from lib_lora_train.training.reporting.report import Reporter
from lib_lora_train.training.run import run_training
from tests.forked import forked_after
from tests.training import killed_runs
from tests.training.conftest import draw_pictures

MANY = [{"name": "larger", "epochs": 1, "dataset": {"resolution": "96", "flip_aug": True},
         "network": {"network_train_unet_only": True}, "optimizer": {"learning_rate": 0.5}},
        {"name": "best", "steps": 2, "dataset": {"only_folders": ["1_best"], "resolution": "64"},
         "network": {"network_train_unet_only": False}, "scheduler": {"lr_scheduler": "cosine"},
         "loss": {"min_snr_gamma": None}}]
"""After 2 epochs: another one with larger images and the UNet alone, then two steps on a part of the images."""


@pytest.fixture
def values(values, tmp_path):
    draw_pictures(tmp_path / "folders" / "1_best", 2, seed=3)
    draw_pictures(tmp_path / "folders" / "1_rest", 3, seed=4)
    return {**values, "dataset": {**values["dataset"], "train_data_dir": str(tmp_path / "folders")},
            "save": {**values["save"], "save_precision": "float", "save_every_n_steps": 1}}


def with_phases(values: dict, phases: list, optimizer: str = "AdamW", **optimizer_settings) -> dict:
    rate = 1.0 if OPTIMIZERS[optimizer].adaptive else 1e-3
    own = []
    for phase in phases:
        given = dict(phase)
        if "learning_rate" in given.get("optimizer", {}):
            given["optimizer"] = {"learning_rate": rate * given["optimizer"]["learning_rate"]}
        own.append(given)
    return {**values, "training": {**values["training"], "phases": own},
            "optimizer": {"optimizer_type": optimizer, "learning_rate": rate, **optimizer_settings}}


@pytest.fixture(scope="module")
def processes():
    return forked_after("tests.training.killed_runs")


def in_process(processes, run: RunFolder, kill_at: int | str | None) -> int | None:
    child = processes.Process(target=killed_runs.carry_out, args=(str(run.path), kill_at))
    child.start()
    child.join(300)
    return child.exitcode


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.safetensors"))}


@pytest.mark.slow
def test_a_run_killed_in_any_phase_resumes_bit_for_bit(values, tmp_path, processes):
    def new_run(name: object) -> tuple[RunFolder, Path]:
        loras = tmp_path / str(name) / "loras"
        job = job_from({**with_phases(values, MANY, "AdamWScheduleFree"),
                        "save": {**values["save"], "output_dir": str(loras)}})
        return create_run(tmp_path / "runs", str(name), job_to_yaml(job)), loras

    run, loras = new_run("whole")
    assert in_process(processes, run, None) == 0
    whole = files(loras)
    assert len(whole) == timeline_of(load_job(run.job_file), scan_dataset).total_steps == 11  # one after each step
    run, loras = new_run("killed")
    for kill_at in (4, "phase 2", 7, "phase 3", 10):  # in each phase, and as each of them begins
        assert in_process(processes, run, kill_at) == -signal.SIGKILL
        made = files(loras)
        assert made and made == {name: whole[name] for name in made}, kill_at
    assert in_process(processes, run, None) == 0
    assert files(loras) == whole


class Cut(BaseException):
    """Ends a run in this process as hard as a process can."""


def cut_at(step: int | None) -> type[Reporter]:
    class Cutting(Reporter):
        def step(self, fields):
            super().step(fields)
            if fields["step"] == step:
                raise Cut
    return Cutting


def resumed(folder: Path, values: dict, optimizer: str, steps: tuple[int, ...], phases: list) -> dict[str, bytes]:
    """The files of a run that was cut at each of ``steps`` and resumed."""
    job = job_from({**with_phases(values, phases, optimizer), "save": {**values["save"], "output_dir": str(folder)}})
    run = create_run(folder / "runs", "penny", job_to_yaml(job))
    for step in (*steps, None):
        with contextlib.suppress(Cut), EventWriter(run.events_file) as events:
            assert run_training(job, run, cut_at(step)(events, terminal=False))
        AcceleratorState._reset_state(reset_partial_state=True)
    return files(folder)


@pytest.mark.slow
@pytest.mark.parametrize(("optimizer", "cuts"), [
    ("AdamW", (5,)), ("Prodigy", (7,)), ("ProdigyPlusScheduleFree", (5, 7))])
def test_every_kind_of_optimizer_resumes_within_a_phase(values, tmp_path, optimizer, cuts):
    short = [MANY[0], {**MANY[1], "steps": 2}]
    shorter = {**values, "training": {**values["training"], "max_train_epochs": 1}}
    whole, cut = (resumed(tmp_path / str(len(steps)) / "loras", shorter, optimizer, steps, short)
                  for steps in ((), cuts))
    assert len(whole) == 8 and cut == whole


@pytest.mark.slow
def test_more_epochs_after_the_last_phase_are_a_phase_with_its_settings(values, tmp_path):
    short = {**values, "training": {**values["training"], "max_train_epochs": 1},
             "save": {**values["save"], "output_dir": str(tmp_path / "loras"), "save_every_n_steps": None}}
    job = job_from(with_phases(short, [{"epochs": 1, "optimizer": {"learning_rate": 0.5},
                                        "dataset": {"only_folders": ["1_best"]}}]))
    run = create_run(tmp_path / "runs", "penny", job_to_yaml(job))
    for more in (False, True):
        if more:
            options = ContinueOptions(MORE, epochs=2, rate_factor=0.1)
            planned = plan_continuation(run, RunIndex(tmp_path / "runs").of(run), options, {"penny"})
            keep_changes(run, planned.changes)
            assert planned.unet_lr == pytest.approx(0.5e-3 * 0.1)
        with EventWriter(run.events_file) as events:
            assert run_training(load_job(run.job_file, (), run.changes_file), run, Reporter(events, terminal=False))
        AcceleratorState._reset_state(reset_partial_state=True)
    added = read_events(run.events_file)[0]
    last = [event for event in added if event["event"] == "started"][-1]
    assert [phase["epochs"] for phase in last["training_phases"]] == [1, 1, 2]
    steps = [event["step"] for event in added if event["event"] == "step"]
    assert planned.total_steps == last["total_steps"] == steps[-1]
    assert (tmp_path / "loras" / f"{planned.name}.safetensors").is_file()
