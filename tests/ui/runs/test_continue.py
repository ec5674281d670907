"""Going on with runs that have ended, through the routes, with real processes."""

from __future__ import annotations

import pytest

from lib_lora_train.runs.continuing import job_of
from lib_lora_train.runs.folder import open_run

from ..conftest import wait_until

ENDED = ("finished", "stopped", "failed", "lost")


def check(tab, run_id, **options):
    answer = tab.post(f"runs/{run_id}/continue/check", options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def resume(tab, run_id, **options):
    answer = tab.post(f"runs/{run_id}/continue", options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(tab, run_id, **options):
    answer = tab.post(f"runs/{run_id}/continue", options)
    assert answer.status_code == 400
    return answer.json()["error"]


def stopped_run(tab):
    run_id = tab.start(max_train_epochs=300)
    wait_until(lambda: tab.get(f"runs/{run_id}").json()["step"] > 2)
    tab.post(f"runs/{run_id}/control", {"action": "stop"})
    return run_id, tab.wait_for(run_id, "stopped")


def test_a_stopped_run_resumes_where_it_was_in_the_same_folder(tab):
    run_id, stopped = stopped_run(tab)
    assert stopped["has_training_state"] and stopped["training_state_step"] == stopped["step"]
    planned = check(tab, run_id)
    assert (planned["name"], planned["from_step"]) == ("penny", stopped["training_state_step"])
    assert planned["steps"] == 3000 - stopped["training_state_step"]
    assert planned["seconds"] == pytest.approx(planned["steps"] * stopped["seconds_per_step"])
    assert resume(tab, run_id)["id"] == run_id
    wait_until(lambda: tab.get(f"runs/{run_id}").json()["step"] > stopped["step"] + 2)
    run = tab.get(f"runs/{run_id}").json()
    assert run["state"] == "running"
    steps = [event["step"] for event in run["events"] if event["event"] == "step"]
    assert steps == list(range(1, len(steps) + 1))
    begun = [event["from_step"] for event in run["events"] if event["event"] == "started"]
    assert begun == [0, stopped["training_state_step"]]
    assert len(tab.get("runs").json()) == 1


def test_one_that_waits_to_resume_can_be_taken_out_of_the_queue_again(tab):
    run_id, stopped = stopped_run(tab)
    other = tab.start("alice", max_train_epochs=300)
    tab.wait_for(other, "running")
    resume(tab, run_id)
    assert tab.get(f"runs/{run_id}").json()["state"] == "waiting"
    assert "waiting" in refused(tab, run_id)
    tab.post(f"runs/{run_id}/control", {"action": "stop"})
    again = tab.get(f"runs/{run_id}").json()
    assert again["state"] == "stopped" and again["events"][-1]["steps"] == stopped["training_state_step"]
    assert again["has_training_state"]


def test_a_finished_run_gets_more_epochs_under_a_name_of_its_own(tab):
    run_id = tab.start()
    assert tab.wait_for(run_id, *ENDED)["state"] == "finished"
    planned = check(tab, run_id, how="more", epochs=2)
    assert (planned["name"], planned["epochs"], planned["steps"], planned["total_steps"]) == ("penny-v2", 2, 20, 50)
    assert planned["unet_lr"] == 1.0 and planned["rate_factor"] == 1.0
    resume(tab, run_id, how="more", epochs=2)
    run = wait_until(lambda: (now := tab.get(f"runs/{run_id}").json())["step"] == 50 and now["state"] == "finished"
                     and now)
    assert [event["name"] for event in run["saved"]] == [
        "penny-000001", "penny-000002", "penny", "penny-v2-000004", "penny-v2"]
    assert run["lora_name"] == "penny-v2"
    assert run["job"]["training"]["max_train_epochs"] == 3  # what was asked for at first stays readable
    assert check(tab, run_id, how="more", epochs=1)["name"] == "penny-v3"
    assert check(tab, run_id, how="more", epochs=1)["total_steps"] == 60


def test_steps_instead_of_epochs_are_added_to(tab):
    run_id = tab.start(max_train_steps=15)
    tab.wait_for(run_id, "finished")
    resume(tab, run_id, how="more", epochs=1)
    assert job_of(open_run(tab.services.runs_dir, run_id)).training.max_train_steps == 25


def test_polishing_lowers_every_rate_that_was_given(tab):
    values = tab.job()
    values["optimizer"] = {"optimizer_type": "AdamW", "learning_rate": 2e-4, "text_encoder_lr": 1e-4}
    run_id = tab.post("runs", {"job": values}).json()["id"]
    tab.wait_for(run_id, "finished")
    planned = check(tab, run_id, how="more", epochs=1, rate_factor=0.1)
    assert (planned["unet_lr"], planned["text_encoder_lr"]) == (2e-5, 1e-5)
    resume(tab, run_id, how="more", epochs=1, rate_factor=0.1)
    job = job_of(open_run(tab.services.runs_dir, run_id))
    assert (job.optimizer.learning_rate, job.optimizer.text_encoder_lr, job.optimizer.unet_lr) == (2e-5, 1e-5, None)
    wait_until(lambda: tab.get(f"runs/{run_id}").json()["state"] == "finished")
    # a second time it is a share of what was asked for at first, not of the polishing
    assert check(tab, run_id, how="more", epochs=1, rate_factor=0.5)["unet_lr"] == 1e-4


def test_a_run_whose_loss_exploded_resumes_at_a_lower_rate(make_tab):
    tab = make_tab(variables={"STANDIN_FAILS_AT_STEP": "12", "STANDIN_FAILS_HOW": "diverged"})
    run_id = tab.start()
    failed = tab.wait_for(run_id, *ENDED)
    assert (failed["state"], failed["diverged"], failed["training_state_step"]) == ("failed", True, 10)
    planned = resume(tab, run_id, rate_factor=0.5)
    assert (planned["unet_lr"], planned["name"]) == (0.5, "penny-v2")  # penny-000001 is there, and may be burned
    run = tab.wait_for(run_id, "finished")
    assert not run["diverged"] and run["error"] == ""
    assert [event["from_step"] for event in run["events"] if event["event"] == "started"] == [0, 10]
    assert run["step"] == 30


def test_one_without_a_state_starts_again(make_tab):
    tab = make_tab(variables={"STANDIN_FAILS_AT_STEP": "5"})
    run_id = tab.start()
    failed = tab.wait_for(run_id, "failed")
    assert not failed["has_training_state"]
    assert check(tab, run_id)["from_step"] == 0


@pytest.mark.parametrize(("options", "words"), [
    ({}, "Only one that was stopped"), ({"how": "more"}, "epochs is 0"), ({"how": "jump"}, "'jump' is not a way"),
    ({"how": "more", "epochs": 1, "rate_factor": 0}, "multiplied by 0"),
])
def test_what_cannot_be_done_with_a_finished_run_is_said(tab, options, words, finished_run):
    run_id = finished_run(tab)
    assert words in refused(tab, run_id, **options)


def test_a_finished_run_whose_state_is_gone_says_so(tab, finished_run):
    run_id = finished_run(tab)
    open_run(tab.services.runs_dir, run_id).state_file.unlink()
    assert "is gone" in refused(tab, run_id, how="more", epochs=2)


def test_adafactor_cannot_be_slowed_down_by_a_rate_it_does_not_use(tab):
    values = tab.job()
    values["optimizer"] = {"optimizer_type": "AdaFactor"}
    run_id = tab.post("runs", {"job": values}).json()["id"]
    tab.wait_for(run_id, "finished")
    assert "AdaFactor" in refused(tab, run_id, how="more", epochs=1, rate_factor=0.1)
    assert resume(tab, run_id, how="more", epochs=1)["steps"] == 10
