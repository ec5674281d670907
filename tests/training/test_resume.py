"""A run that was killed, or stopped, goes on as if nothing had been: its files are the same, bit for bit."""

from __future__ import annotations

import math
import random
import signal
from pathlib import Path

import pytest
from safetensors.torch import load_file

from lib_lora_train.config.load import job_from, job_to_yaml, load_job
from lib_lora_train.runs.continuing import keep_changes
from lib_lora_train.runs.events import EventWriter, read_events
from lib_lora_train.runs.folder import RunFolder, create_run
from lib_lora_train.training.reporting.report import Reporter
from lib_lora_train.training.run import run_training
from tests.figures import count, figure
from tests.forked import forked_after
from tests.training import killed_runs
from tests.training.conftest import draw_pictures

OPTIMIZERS = {"AdamW": 1e-3, "Prodigy": 1.0, "Lion": 1e-4}
SCHEDULE_FREE, PLUS = "AdamWScheduleFree", "ProdigyPlusScheduleFree"
EPOCHS, STEPS_PER_EPOCH = 3, 3
KILLS = count(6, 30)


@pytest.fixture(scope="session")
def processes():
    """Processes that begin with everything loaded."""
    return forked_after("tests.training.killed_runs")


DRAWN = {"caption_dropout_rate": 0.2, "caption_tag_dropout_rate": 0.3, "flip_aug": True}
DROPPED = {"network_dropout": 0.1, "rank_dropout": 0.1, "module_dropout": 0.1}


@pytest.fixture
def drawn_values(values, tmp_path) -> dict:
    """With regularization, and with everything that is drawn at random; as many steps as without."""
    draw_pictures(tmp_path / "class" / "1_round", 5, seed=5)
    dataset = {**values["dataset"], **DRAWN, "reg_data_dir": str(tmp_path / "class"), "train_batch_size": 4}
    return {**values, "dataset": dataset, "network": {**values["network"], **DROPPED}}


def new_run(values: dict, folder: Path, optimizer: str) -> RunFolder:
    rate = {**OPTIMIZERS, PLUS: 1.0}.get(optimizer, 1e-3)
    changes = {"optimizer": {"optimizer_type": optimizer, "learning_rate": rate},
               "training": {**values["training"], "max_train_epochs": EPOCHS},
               "scheduler": {"lr_scheduler": "cosine", "lr_warmup_steps": 2},
               "save": {**values["save"], "output_dir": str(folder / "loras"), "save_every_n_steps": 2}}
    job = job_from({**values, **changes})
    return create_run(folder / "runs", "penny", job_to_yaml(job))


def process(processes, run: RunFolder, kill_at: int | None) -> int | None:
    child = processes.Process(target=killed_runs.carry_out, args=(str(run.path), kill_at))
    child.start()
    child.join(300)
    return child.exitcode


def made(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "loras").glob("*.safetensors"))}


@pytest.mark.slow
def test_killed_at_any_step_and_resumed_the_files_are_bit_for_bit_the_same(drawn_values, tmp_path, processes):
    rng = random.Random(20)
    wanted: dict[str, dict[str, bytes]] = {}
    for optimizer in OPTIMIZERS:
        run = new_run(drawn_values, tmp_path / optimizer, optimizer)
        assert process(processes, run, None) == 0
        wanted[optimizer] = made(tmp_path / optimizer)
        assert len(wanted[optimizer]) == 6  # epochs 1 and 2, steps 2, 4 and 8, and the last
    with figure("kills in training") as counted:
        for number in range(KILLS // 2):
            optimizer = list(OPTIMIZERS)[number % 3]
            kills = sorted(rng.sample(range(1, EPOCHS * STEPS_PER_EPOCH + 1), 2))
            folder = tmp_path / f"killed{number}"
            run = new_run(drawn_values, folder, optimizer)
            for kill_at in kills:
                assert process(processes, run, kill_at) == -signal.SIGKILL
                counted.tried += 1
            assert process(processes, run, None) == 0
            assert made(folder) == wanted[optimizer], f"{optimizer}, killed after steps {kills}"
            assert read_events(run.events_file)[0][-1]["event"] == "finished"


class _Stopping(Reporter):
    run: RunFolder
    at = 4

    def step(self, fields):
        super().step(fields)
        if fields["step"] == self.at:
            self.run.control.request("stop")


def in_this_process(run: RunFolder, reporter_type: type[Reporter], values: dict, **training) -> None:
    with_settings(run, reporter_type, [f"training.{name}={value}" for name, value in training.items()])


def with_settings(run: RunFolder, reporter_type: type[Reporter], settings: list[str]) -> None:
    job = load_job(run.job_file, settings, run.changes_file)
    with EventWriter(run.events_file) as events:
        run_training(job, run, reporter_type(events, terminal=False))


def test_a_stopped_run_resumes_where_it_was_and_says_so(values, tmp_path):
    run = new_run(values, tmp_path, "AdamW")
    in_this_process(run, type("Stopping", (_Stopping,), {"run": run}), values)
    run.control.withdraw("stop")
    in_this_process(run, Reporter, values)
    events = read_events(run.events_file)[0]
    assert [event["from_step"] for event in events if event["event"] == "started"] == [0, 4]
    assert [event["step"] for event in events if event["event"] == "step"] == list(range(1, 10))
    assert events[-1]["event"] == "finished"
    assert not [event for event in events if event["event"] == "warning"]


def test_a_finished_run_can_be_given_a_few_more_epochs(values, tmp_path):
    run = new_run(values, tmp_path, "AdamW")
    in_this_process(run, Reporter, values)
    before = made(tmp_path)
    in_this_process(run, Reporter, values, max_train_epochs=EPOCHS + 1)
    events = read_events(run.events_file)[0]
    assert [event["step"] for event in events if event["event"] == "step"] == list(range(1, 13))
    after = made(tmp_path)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"penny-v2-step00000010.safetensors", "penny-v2.safetensors"}


@pytest.mark.parametrize("optimizer, stops", [(SCHEDULE_FREE, (3, 4, 6, 9)), (PLUS, (3, 8))])
def test_a_schedule_free_run_that_is_stopped_and_resumed_ends_in_the_same_bits(values, tmp_path, optimizer, stops):
    with_settings(new_run(values, tmp_path / "whole", optimizer), Reporter, TWELVE_STEPS)
    parts = new_run(values, tmp_path / "parts", optimizer)
    for stop_at in (*stops, None):
        with_settings(parts, type("Stopping", (_Stopping,), {"run": parts, "at": stop_at}), TWELVE_STEPS)
        parts.control.withdraw("stop")
    assert [event["steps"] for event in read_events(parts.events_file)[0] if event["event"] == "stopped"] == [*stops]
    assert made(tmp_path / "parts")["penny.safetensors"] == made(tmp_path / "whole")["penny.safetensors"]


@pytest.mark.parametrize("optimizer", [SCHEDULE_FREE, PLUS])
def test_saves_samples_and_validation_leave_no_trace_in_a_schedule_free_run(values, tmp_path, optimizer):
    draw_pictures(tmp_path / "held_out", 2, seed=9)
    watching = {"alone": ["save.save_every_n_steps=null", "save.save_every_n_epochs=null"],
                "watched": ["save.save_every_n_steps=1", "save.save_every_n_epochs=1", "sample.sample_prompts=[penny]",
                            "sample.sample_every_n_epochs=1", "sample.sample_steps=1", "sample.sample_at_first=true",
                            f"dataset.validation_data_dir={tmp_path / 'held_out'}"]}
    for name, settings in watching.items():
        with_settings(new_run(values, tmp_path / name, optimizer), Reporter, [*FEW_STEPS, *settings])
    assert tensors_of(tmp_path / "watched") == tensors_of(tmp_path / "alone")


TWELVE_STEPS = ["training.max_train_steps=12", "training.max_train_epochs=null"]
FEW_STEPS = ["training.max_train_steps=6", "training.max_train_epochs=null"]


def tensors_of(folder: Path) -> dict[str, list]:
    return {name: tensor.tolist() for name, tensor in load_file(folder / "loras" / "penny.safetensors").items()}


def rates_of(run: RunFolder) -> list[float]:
    return [event["lr_unet"] for event in read_events(run.events_file)[0] if event["event"] == "step"]


def test_more_epochs_have_a_schedule_of_their_own_at_the_rate_that_is_given(values, tmp_path):
    run = new_run(values, tmp_path, "AdamW")  # cosine after a warmup of 2 steps
    in_this_process(run, Reporter, values)
    more = [f"training.max_train_epochs={EPOCHS + 1}", "optimizer.learning_rate=1e-4"]
    with_settings(run, Reporter, more)
    # what is told with a step is the rate of the next one
    first = [1e-3 * factor for factor in (0.5, 1, *(0.5 * (1 + math.cos(math.pi * k / 7)) for k in range(1, 8)))]
    second = [1e-4 * factor for factor in (0.5, 1, 0)]  # 1 step is left after a warmup of 2
    assert rates_of(run) == pytest.approx([*first, *second], abs=1e-12)


def test_more_epochs_are_resumed_exactly_too(values, tmp_path):
    made_twice = []
    for name in ("a", "b"):
        run = new_run(values, tmp_path / name, "Prodigy")
        in_this_process(run, Reporter, values)
        keep_changes(run, {"training": {"max_train_epochs": EPOCHS + 2}, "optimizer": {"learning_rate": 0.1},
                           "save": {"output_name": "polished"}})
        if name == "b":
            with_settings(run, type("Stopping", (_Stopping,), {"run": run, "at": 11}), [])
            run.control.withdraw("stop")
        with_settings(run, Reporter, [])
        made_twice.append(made(tmp_path / name))
        assert rates_of(run)[-1] < 0.1 * max(rates_of(run)[:9])
    made_twice[1].pop("polished-step00000011.safetensors")
    assert made_twice[0] == made_twice[1]
    assert "polished.safetensors" in made_twice[0]


def test_other_settings_are_refused_since_the_run_could_not_resume_exactly(values, tmp_path):
    run = new_run(values, tmp_path, "AdamW")
    in_this_process(run, type("Stopping", (_Stopping,), {"run": run}), values)
    run.control.withdraw("stop")
    in_this_process(run, Reporter, values, seed=7)
    last = read_events(run.events_file)[0][-1]
    assert last["event"] == "error" and "training.seed" in last["text"]


def test_pictures_that_have_changed_since_are_reported_and_the_run_continues(values, tmp_path, pictures):
    run = new_run(values, tmp_path, "AdamW")
    in_this_process(run, type("Stopping", (_Stopping,), {"run": run}), values)
    run.control.withdraw("stop")
    (pictures / "01.txt").write_text("pennyfox, another word")
    in_this_process(run, Reporter, values)
    events = read_events(run.events_file)[0]
    assert [event["text"] for event in events if event["event"] == "warning" and "have changed since" in event["text"]]
    assert events[-1]["event"] == "finished"


def test_a_damaged_state_is_named(values, tmp_path):
    run = new_run(values, tmp_path, "AdamW")
    in_this_process(run, type("Stopping", (_Stopping,), {"run": run}), values)
    run.control.withdraw("stop")
    (run.state / "last.pt").write_bytes(b"damaged")
    in_this_process(run, Reporter, values)
    last = read_events(run.events_file)[0][-1]
    assert last["event"] == "error" and "last.pt" in last["text"]
