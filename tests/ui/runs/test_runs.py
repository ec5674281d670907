"""Starting, watching and controlling runs through the routes, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from modules import sd_models, sd_vae, shared

from lib_lora_train.config.load import load_job
from lib_lora_train.runs import process
from lib_lora_train.runs.events import EventWriter
from lib_lora_train.runs.folder import create_run, open_run
from lib_lora_train.ui.runs import routes

from ..conftest import wait_until

ENDED = ("finished", "stopped", "failed", "lost")


@pytest.fixture
def started_workers(tab, monkeypatch):
    """Workers that are started as a webui starts them, and not forked as in other tests."""
    monkeypatch.setattr(process, "subprocess", subprocess)


def job_of(tab, run_id):
    return load_job(open_run(tab.services.runs_dir, run_id).job_file)


def test_a_run_starts_and_ends_with_files_in_the_lora_folder(tab):
    run = tab.wait_for(tab.start(), *ENDED)
    assert run["state"] == "finished"
    saved = sorted(path.name for path in (tab.data / "models" / "Lora").iterdir())
    assert saved == ["penny-000001.safetensors", "penny-000002.safetensors", "penny.safetensors"]
    assert [event["name"] for event in run["saved"]] == ["penny-000001", "penny-000002", "penny"]
    assert run["step"] == run["total_steps"] == 30
    assert run["job"]["save"]["output_name"] == "penny"
    assert "step 30 of 30" in run["log_tail"]


def test_what_the_form_leaves_open_is_taken_from_the_webui(make_tab, tmp_path):
    vae = tmp_path / "sharp.vae.safetensors"
    tab = make_tab(clip_skip=2, vaes=(vae,), vae=vae)
    job = job_of(tab, tab.start())
    assert job.base.checkpoint == sd_models.model_data.sd_model.sd_checkpoint_info.filename
    assert job.base.vae == str(vae)
    assert job.base.clip_skip == 2
    assert job.save.output_dir == shared.cmd_opts.lora_dir


def test_the_checkpoints_own_vae_can_be_asked_for(make_tab, tmp_path):
    vae = tmp_path / "sharp.vae.safetensors"
    tab = make_tab(vaes=(vae,), vae=vae)
    values = tab.job()
    values["base"] = {"vae": ""}
    assert job_of(tab, tab.post("runs", {"job": values}).json()["id"]).base.vae is None


def test_the_vae_of_the_webui_is_not_taken_for_another_checkpoint(make_tab, tmp_path):
    vae, first, other = tmp_path / "sharp.pt", tmp_path / "first.ckpt", tmp_path / "other.ckpt"
    tab = make_tab(vaes=(vae,), vae=vae, checkpoints=(first, other))
    values = tab.job()
    values["base"] = {"checkpoint": str(other)}
    assert job_of(tab, tab.post("runs", {"job": values}).json()["id"]).base.vae is None
    assert sd_vae.loaded_vae_file == str(vae)


def test_the_gpu_of_device_id_is_the_one_trained_on(make_tab):
    tab = make_tab(device="cuda:1")
    assert job_of(tab, tab.start()).training.device == "cuda:1"


def test_every_problem_is_reported_at_once_and_nothing_starts(tab):
    values = tab.job(name="pen:ny", max_train_epochs=0)
    values["network"] = {"network_dim": 8, "network_alpha": 9, "netwrok": 1}
    answer = tab.post("runs", {"job": values})
    assert answer.status_code == 400
    reported = " ".join(answer.json()["problems"])
    assert all(name in reported for name in ("save.output_name", "network_alpha", "netwrok", "max_train_epochs"))
    assert tab.get("runs").json() == []


def test_a_missing_folder_is_named(tab):
    values = tab.job()
    values["dataset"]["train_data_dir"] = "/nowhere/at/all"
    assert "There is no folder /nowhere/at/all" in tab.post("runs", {"job": values}).json()["error"]


def test_a_request_that_is_no_job_is_an_answer_not_a_crash(tab):
    for body in ({}, {"job": 3}, {"job": {"base": 3}}, {"job": {"dataset": {"train_data_dir": 5}}}):
        answer = tab.post("runs", body)
        assert answer.status_code == 400, body
        assert answer.json()["problems"]


def test_pause_resume_and_stop_are_obeyed(tab):
    run_id = tab.start(max_train_steps=50_000)
    tab.wait_for(run_id, "running")
    assert tab.post(f"runs/{run_id}/control", {"action": "pause"}).json()["control"] == ["pause"]
    paused = tab.wait_for(run_id, "paused")
    assert paused["control"] == ["pause"]
    step = paused["step"]
    assert tab.get(f"runs/{run_id}").json()["step"] == step
    tab.post(f"runs/{run_id}/control", {"action": "resume"})
    wait_until(lambda: tab.get(f"runs/{run_id}").json()["step"] > step)
    assert tab.post(f"runs/{run_id}/control", {"action": "stop"}).json()["control"] == ["stop"]
    stopped = tab.wait_for(run_id, *ENDED)
    assert stopped["state"] == "stopped"
    assert stopped["saved"][-1]["final"]


def test_an_ended_run_cannot_be_paused_and_the_answer_says_so(tab):
    run_id = tab.start()
    tab.wait_for(run_id, "finished")
    answer = tab.post(f"runs/{run_id}/control", {"action": "pause"})
    assert answer.status_code == 400
    assert "finished" in answer.json()["error"]
    assert tab.post(f"runs/{run_id}/control", {"action": "explode"}).status_code == 400


def test_events_are_reported_from_where_the_page_left_off(tab):
    run_id = tab.start()
    everything = tab.wait_for(run_id, "finished")
    first = tab.get(f"runs/{run_id}", since=0).json()
    assert first["events"] == everything["events"]
    assert first["offset"] == (tab.services.runs_dir / run_id / "events.jsonl").stat().st_size
    later = tab.get(f"runs/{run_id}", since=first["offset"]).json()
    assert later["events"] == []
    assert "job" not in later


@pytest.mark.parametrize("ending", ["finished", "stopped", "error"])
def test_an_answer_that_says_how_a_run_ended_has_its_last_events(tab, monkeypatch, ending):
    """The worker writes its last events while the answer is put together; a page asks no more after it."""
    run = create_run(tab.services.runs_dir, "byhand", "save:\n  output_name: byhand\n")
    original = tab.services.index.of

    def of(asked):
        if not run.events_file.exists():
            with EventWriter(run.events_file) as events:
                events.write("state_saved", {"step": 30})
                events.write(ending, {"text": "The disk was full."})
        return original(asked)

    monkeypatch.setattr(tab.services.index, "of", of)
    answer = tab.get(f"runs/{run.id}").json()
    assert answer["state"] == ("failed" if ending == "error" else ending)
    assert [event["event"] for event in answer["events"]] == ["state_saved", ending]


def test_an_answer_never_knows_less_from_its_events_than_from_its_state(tab, monkeypatch):
    """Whatever is written between reading the two, the events have all that the state was made from."""
    run = create_run(tab.services.runs_dir, "byhand", "save:\n  output_name: byhand\n")
    writer = EventWriter(run.events_file)
    writer.write("kept", {"step": 1})
    original, seen = routes.read_events, []

    def read(file, offset):
        found = original(file, offset)
        writer.write("state_saved", {"step": 2})
        tab.services.index.of(run)  # as the supervisor does, which looks at every run now and then
        seen.append(True)
        return found

    monkeypatch.setattr(routes, "read_events", read)
    answer = tab.get(f"runs/{run.id}").json()
    writer.close()
    assert seen and answer["training_state_step"] == max(event["step"] for event in answer["events"]) == 1


def test_one_run_at_a_time_the_next_waits_its_turn(tab):
    first = tab.start("penny", max_train_steps=50_000)
    second = tab.start("alice")
    tab.wait_for(first, "running")
    assert tab.get(f"runs/{second}").json()["state"] == "waiting"
    tab.post(f"runs/{first}/control", {"action": "stop"})
    tab.wait_for(first, "stopped")
    assert tab.wait_for(second, *ENDED)["state"] == "finished"


def test_a_waiting_run_can_be_stopped_before_it_starts(tab):
    first, second = tab.start("penny", max_train_steps=50_000), tab.start("alice")
    tab.post(f"runs/{second}/control", {"action": "stop"})
    assert tab.get(f"runs/{second}").json()["state"] == "stopped"
    tab.post(f"runs/{first}/control", {"action": "stop"})
    tab.wait_for(first, "stopped")
    assert tab.get(f"runs/{second}").json()["pid"] is None


def test_a_name_that_is_taken_or_promised_gets_a_number(tab):
    lora_dir = tab.data / "models" / "Lora"
    (lora_dir / "old").mkdir(parents=True)
    (lora_dir / "old" / "Penny-000004.safetensors").touch()
    answers = [tab.post("runs", {"job": tab.job()}).json() for _ in range(2)]
    assert [answer["name"] for answer in answers] == ["penny-v2", "penny-v3"]


def test_a_worker_that_is_killed_leaves_a_run_that_is_lost(tab, started_workers):
    run_id = tab.start(max_train_steps=50_000)
    pid = tab.wait_for(run_id, "running")["pid"]
    os.kill(pid, signal.SIGKILL)
    assert tab.wait_for(run_id, "lost")["pid"] is None


def test_a_worker_that_breaks_off_says_why(make_tab):
    tab = make_tab(variables={"STANDIN_FAILS_AT_STEP": "7"})
    run = tab.wait_for(tab.start(), *ENDED)
    assert run["state"] == "failed"
    assert run["error"] == "The disk was full at step 7. Free some space."


def test_a_worker_that_cannot_be_started_fails_the_run_with_the_reason(tab, monkeypatch):
    commands = iter([(["python"], {}), (["/nowhere/python"], {})])
    monkeypatch.setattr(type(tab.services.environment), "command", lambda self, arguments: next(commands))
    run = tab.wait_for(tab.start(), *ENDED)
    assert run["state"] == "failed"
    assert "/nowhere/python" in run["error"]


def test_a_run_outlives_the_webui_and_a_new_one_finds_it(make_tab):
    before = make_tab()
    run_id = before.start(max_train_steps=50_000)
    pid = before.wait_for(run_id, "running")["pid"]
    before.services.supervisor.close()
    before.services.supervisor.join(60)
    after = make_tab()
    assert after.services.supervisor is not before.services.supervisor
    assert after.get(f"runs/{run_id}").json()["pid"] == pid
    after.post(f"runs/{run_id}/control", {"action": "stop"})
    after.wait_for(run_id, "stopped")


def test_a_reload_of_the_ui_keeps_the_supervisor(make_tab):
    assert make_tab().services.supervisor is make_tab().services.supervisor


def test_a_run_that_waited_when_the_webui_died_starts_with_the_next_one(make_tab):
    before = make_tab()
    first, second = before.start("penny", max_train_steps=50_000), before.start("alice")
    before.wait_for(first, "running")
    before.services.supervisor.close()
    before.services.supervisor.join(60)
    after = make_tab()
    after.post(f"runs/{first}/control", {"action": "stop"})
    after.wait_for(second, "finished")


def test_a_run_from_the_command_line_is_listed_too(tab):
    run = create_run(tab.services.runs_dir, "byhand", "save:\n  output_name: byhand\n")
    listed = tab.get("runs").json()
    assert [item["id"] for item in listed] == [run.id]
    assert listed[0]["name"] == "byhand"


def test_the_worker_is_in_a_session_of_its_own(tab, started_workers):
    run_id = tab.start(max_train_steps=50_000)
    pid = tab.wait_for(run_id, "running")["pid"]
    assert os.getsid(pid) == pid != os.getsid(0)
    assert psutil.Process(pid).ppid() == os.getpid()


def test_the_webui_learns_of_new_files_and_only_then(tab, monkeypatch):
    networks = pytest.importorskip("networks")
    networks.list_available_networks()
    asked = []
    original = networks.update_available_networks_by_names
    monkeypatch.setattr(networks, "update_available_networks_by_names", lambda names: asked.append(names) or
                        original(names))
    run_id = tab.start(max_train_steps=50_000)
    tab.wait_for(run_id, "running")
    wait_until(lambda: "penny-000001" in networks.available_networks)
    tab.post(f"runs/{run_id}/control", {"action": "stop"})
    tab.wait_for(run_id, "stopped")
    wait_until(lambda: "penny" in networks.available_networks)
    names, calls = [name for each in asked for name in each], len(asked)
    assert len(set(names)) == len(names)  # each file once
    tab.services.supervisor.check()
    assert len(asked) == calls


def test_trying_a_file_names_it_and_the_activation_tag(make_tab):
    tab = make_tab(clip_skip=2)
    run = tab.wait_for(tab.start(), "finished")
    epoch = run["saved"][0]["path"]
    answer = tab.post(f"runs/{run['id']}/try", {"path": epoch}).json()
    assert answer["prompt"] == "<lora:penny-000001:1> penny"
    assert (answer["width"], answer["height"], answer["clip_skip"]) == (512, 512, 2)


def test_trying_a_file_that_the_run_did_not_make_or_that_is_gone_is_refused(tab):
    run = tab.wait_for(tab.start(), "finished")
    assert tab.post(f"runs/{run['id']}/try", {"path": "/etc/passwd"}).status_code == 400
    path = run["saved"][0]["path"]
    Path(path).unlink()
    assert "no longer there" in tab.post(f"runs/{run['id']}/try", {"path": path}).json()["error"]


def test_no_zombie_is_left_when_a_run_has_ended(tab, started_workers):
    run_id = tab.start()
    tab.wait_for(run_id, "finished")
    wait_until(lambda: tab.get(f"runs/{run_id}").json()["pid"] is None)
    subprocess.run(["true"], check=True)  # starting a process reaps what has ended
    assert not [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]


def test_removing_from_the_queue_never_ends_what_runs(make_tab):
    tab = make_tab(variables={"STANDIN_STEP_SECONDS": "0.2"})
    first = tab.start("penny", max_train_epochs=90)
    tab.wait_for(first, "running")
    second = tab.start("penny")
    assert tab.get(f"runs/{second}").json()["state"] == "waiting"
    answer = tab.post(f"runs/{second}/control", {"action": "withdraw"})
    assert (answer.status_code, answer.json()["state"]) == (200, "stopped")
    assert tab.get(f"runs/{first}").json()["state"] == "running"
    again = tab.post(f"runs/{second}/control", {"action": "withdraw"})
    assert (again.status_code, "it is stopped" in again.text) == (400, True)
    running = tab.post(f"runs/{first}/control", {"action": "withdraw"})
    assert (running.status_code, "Press Stop" in running.text) == (400, True)
    assert tab.get(f"runs/{first}").json()["control"] == []
