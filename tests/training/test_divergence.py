"""A loss that explodes, or is not a number, ends the run, keeps what was good, and resumes at a lower rate."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lib_lora_train.config.job import Job
from lib_lora_train.config.load import job_from, load_job
from lib_lora_train.errors import DivergedError
from lib_lora_train.runs.events import EventWriter, read_events
from lib_lora_train.training import run as training_run
from lib_lora_train.training.divergence import LossWatch, StepResult, check_numbers, what_to_try
from lib_lora_train.training.reporting.report import Reporter
from lib_lora_train.training.run import run_training

DEMO = Path(__file__).resolve().parents[2] / "demo"


def take_all(watch: LossWatch, results) -> int:
    """How many of the steps were taken before the watch ended it."""
    for step, result in enumerate(results, 1):
        try:
            watch.take(step, result)
        except DivergedError:
            return step
    return len(results)


def usual_steps(count: int, seed: int = 1) -> list[StepResult]:
    """Losses as a real run has them: single ones differ a hundredfold, by the timesteps that were drawn."""
    rng = random.Random(seed)
    return [StepResult(rng.lognormvariate(-2.5, 1.2), rng.lognormvariate(-3, 0.8), rng.uniform(0.02, 1.1))
            for _ in range(count)]


@pytest.mark.parametrize("seed", range(20))
def test_a_usual_run_is_never_ended_and_its_state_is_kept(seed):
    watch = LossWatch()
    assert take_all(watch, usual_steps(2000, seed)) == 2000
    assert not watch.suspicious


def test_a_model_that_knows_nothing_yet_is_allowed_to_continue():
    watch = LossWatch()
    rng = random.Random(3)
    losses = [rng.uniform(0.3, 1.6) for _ in range(500)]
    assert take_all(watch, [StepResult(loss, 0.1, 1.2 * loss) for loss in losses]) == 500


def test_an_explosion_is_noticed_within_ten_steps_and_suspected_at_once():
    watch = LossWatch()
    take_all(watch, usual_steps(200))
    bad = [StepResult(0.5 * 1.5 ** number, 0.2, 1.5) for number in range(10)]
    for step in range(201, 204):
        watch.take(step, bad[step - 201])
    assert watch.suspicious
    with pytest.raises(DivergedError, match="The loss has exploded: it is .* over the last 10 steps, and was"):
        for step in range(204, 211):
            watch.take(step, bad[step - 201])
    assert watch.last_good_step == 199  # what step 200 left is what the loss of step 201 shows


def test_without_an_explosion_the_last_step_taken_may_have_done_it():
    watch = LossWatch()
    take_all(watch, usual_steps(50))
    assert watch.last_good_step == 49


def test_a_gradient_out_of_all_proportion_keeps_the_state_from_being_replaced_for_a_while():
    watch = LossWatch()
    take_all(watch, [StepResult(0.1, 0.01, 0.2)] * 60)
    watch.take(61, StepResult(0.1, 5.0, 0.2))
    assert watch.suspicious
    take_all(watch, [StepResult(0.1, 0.01, 0.2)] * 10)
    assert not watch.suspicious


def test_steps_that_the_scaler_leaves_out_are_not_held_against_the_run():
    check_numbers(1, StepResult(0.1, math.inf, 0.2), scaled=True)
    watch = LossWatch()
    take_all(watch, [StepResult(0.1, 0.01, 0.2), StepResult(0.1, math.inf, 0.2)] * 5)
    assert not watch.suspicious
    with pytest.raises(DivergedError, match="gradients became inf in step 1, which was skipped"):
        check_numbers(1, StepResult(0.1, math.inf, 0.2), scaled=False)


def job(**changes) -> Job:
    return job_from({"optimizer": {"optimizer_type": "AdamW", "learning_rate": 2e-4}, "base": {"checkpoint": "x"},
                     "dataset": {"train_data_dir": "x"}, "save": {"output_name": "x", "output_dir": "x"}, **changes})


def test_what_to_try_fits_the_settings():
    text = what_to_try(job(), "fp16", 120)
    assert "The last good state, of step 120, is kept" in text
    assert "half of 0.0002 is 0.0001" in text and "bf16" in text and "scale_weight_norms" in text
    assert "max_grad_norm" not in text and "d_coef" not in text
    text = what_to_try(job(optimizer={"optimizer_type": "Prodigy", "learning_rate": 1.0, "max_grad_norm": 0.0},
                           network={"scale_weight_norms": 1.0}), "no", None)
    assert "no training state to resume from yet" in text and "Start again at a lower rate: half of 1 is 0.5" in text
    assert "max_grad_norm to 1" in text and "d_coef" in text and "bf16" not in text
    text = what_to_try(job(optimizer={"optimizer_type": "ProdigyPlusScheduleFree", "learning_rate": 1.0}), "no", None)
    assert "give ProdigyPlusScheduleFree a lower d_coef (1 is usual here)" in text


EXPLODING = {"base": {"checkpoint": str(DEMO / "mini_sd15.safetensors")},
             "dataset": {"train_data_dir": str(DEMO / "pictures")}, "network": {"network_train_unet_only": True},
             "optimizer": {"optimizer_type": "Prodigy", "learning_rate": 100.0},
             "training": {"max_train_epochs": None, "max_train_steps": 14}, "save": {"save_every_n_steps": 4}}


def resume(run, *settings: str) -> list[dict]:
    with EventWriter(run.events_file) as events:
        run_training(load_job(run.job_file, settings), run, Reporter(events, terminal=False))
    return read_events(run.events_file)[0]


def losses_after(events, step: int) -> list[float]:
    return [event["loss"] for event in events if event["event"] == "step" and event["step"] > step]


def test_a_run_that_explodes_continues_from_its_last_good_state_at_a_lower_rate(train):
    run = train(**EXPLODING)
    error = run.events[-1]
    assert (error["event"], error["kind"]) == ("error", "diverged")
    assert "The loss has exploded" in error["text"] and "half of 100 is 50" in error["text"]
    kept = run.of("state_saved")[-1]["step"]
    assert f"of step {kept}, is kept" in error["text"]
    usual = [event["loss"] for event in run.of("step") if event["step"] <= kept]
    worst = max(losses_after(run.events, kept))
    events = resume(run.run, "optimizer.learning_rate=1")
    started = [event for event in events if event["event"] == "started"][-1]
    assert started["from_step"] == kept and events[-1]["event"] == "finished"
    burned = {event["path"]: event for event in events[:events.index(started)] if event["event"] == "saved"}
    after = [event["path"] for event in events[events.index(started):] if event["event"] == "saved"]
    assert started["name"] == "penny-v2" and after and not burned.keys() & set(after)
    again = [event["loss"] for event in events[events.index(started):] if event["event"] == "step"]
    assert sum(again) / len(again) < 2 * sum(usual) / len(usual) < worst


def test_a_loss_that_is_no_number_leaves_weights_and_state_as_they_were(train, monkeypatch):
    undisturbed = train(training={"max_train_epochs": 2})
    real, broken = training_run.train_step, []

    def nan_once(learner, batches, job, step):
        if step == 5 and not broken:
            broken.append(step)
            next(iter(learner.model.network.parameters())).data.fill_(math.nan)
        return real(learner, batches, job, step)

    monkeypatch.setattr(training_run, "train_step", nan_once)
    run = train(training={"max_train_epochs": 2}, save={"output_dir": str(undisturbed.loras.parent / "again")})
    text = run.events[-1]["text"]
    assert "The loss became nan in step 5, which was skipped. The last good state, of step 3" in text
    events = resume(run.run)
    assert events[-1]["event"] == "finished"
    files = [undisturbed.loras / "penny.safetensors", run.loras / "penny-v2.safetensors"]
    weights = [load_file(file) for file in files]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
