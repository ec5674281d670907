"""The queue through the routes: order, holds, GPUs, and settings changed while a run waits."""

from __future__ import annotations

import json

import pytest

from lib_lora_train.config.load import load_job
from lib_lora_train.runs.events import EventWriter
from lib_lora_train.runs.folder import open_run
from lib_lora_train.runs.queue import read_request
from lib_lora_train.runs.queue_hold import hold_queue, release_queue

from ...conftest import HEADERS, wait_until
from ...test_nonsense import VALUES


@pytest.fixture
def held(tab):
    """A tab whose queue is on hold, with three runs in it."""
    assert tab.post("queue/hold", {"on_hold": True}).json()["on_hold"]
    return tab, [tab.start(name) for name in ("ann", "bob", "cat")]


def folder(tab, run_id):
    return open_run(tab.services.runs_dir, run_id)


def order(tab):
    waiting = [run for run in tab.get("runs").json() if run["place"] is not None]
    return [run["name"] for run in sorted(waiting, key=lambda run: run["place"])]


def test_a_queue_on_hold_starts_nothing_even_in_another_webui_until_it_is_released(held, make_tab):
    tab, (ann, bob, cat) = held
    assert tab.post(f"runs/{cat}/queue/move", {"before": ann}).status_code == 200
    assert tab.post(f"runs/{ann}/queue/hold", {"on_hold": True}).status_code == 200
    tab.services.supervisor.close()  # the webui is closed and started again
    tab.services.supervisor.join(60)
    again = make_tab()
    again.services.supervisor.check()
    assert again.get("queue").json()["on_hold"]
    assert order(again) == ["cat", "ann", "bob"]
    assert {run["state"] for run in again.get("runs").json()} == {"waiting"}

    assert not again.post("queue/hold", {"on_hold": False}).json()["on_hold"]
    for run in (cat, bob):
        again.wait_for(run, "finished")
    ended = {run["id"]: run["ended"] for run in again.get("runs").json()}
    assert ended[cat] < ended[bob]
    assert again.get(f"runs/{ann}").json()["on_hold"]
    assert order(again) == ["ann"]
    again.post(f"runs/{ann}/queue/hold", {"on_hold": False})
    again.wait_for(ann, "finished")


def test_settings_of_a_queued_run_are_changed_after_the_same_checks(held):
    tab, (ann, *_) = held
    wrong = tab.job("ann", max_train_epochs=0)
    wrong["network"] = {"network_dim": 0}
    answer = tab.post(f"runs/{ann}/queue/settings", {"job": wrong})
    assert answer.status_code == 400
    assert {"max_train_epochs", "network_dim"} <= set(" ".join(answer.json()["problems"]).replace(".", " ").split())
    assert load_job(folder(tab, ann).job_file).training.max_train_epochs == 3

    place = read_request(folder(tab, ann).path / "queued.json").place
    values = tab.job("ann", max_train_epochs=5)
    assert tab.post("job/check", {"job": values, "edited": ann}).json()["output_name_final"] == "ann"
    assert tab.post(f"runs/{ann}/queue/settings", {"job": values}).json() == {"id": ann, "name": "ann"}
    assert load_job(folder(tab, ann).job_file).training.max_train_epochs == 5
    assert read_request(folder(tab, ann).path / "queued.json").place == place
    assert tab.post(f"runs/{ann}/queue/settings", {"job": tab.job("bob")}).json()["name"] == "bob-v2"  # bob is taken


def test_what_was_started_or_trained_before_keeps_its_settings(held):
    tab, (ann, bob, _) = held
    path = folder(tab, ann).path
    (path / "queued.json").replace(path / "claimed.json")  # another webui has started it
    answer = tab.post(f"runs/{ann}/queue/settings", {"job": tab.job("ann")})
    assert answer.status_code == 400
    assert "started or removed" in answer.json()["error"]
    with EventWriter(folder(tab, ann).events_file) as events:
        events.write("stopped", {"steps": 0, "seconds": 0})

    (folder(tab, bob).path / "changes.yaml").write_text("training: {max_train_epochs: 9}\n")
    answer = tab.post(f"runs/{bob}/queue/settings", {"job": tab.job("bob")})
    assert answer.status_code == 400
    assert "is resumed from step" in answer.json()["error"]


def test_a_run_of_a_comparison_keeps_the_value_that_is_compared(held):
    tab, _ = held
    made = tab.post("compare/queue", {"job": tab.job("dot"), "key": "network.network_dim", "values": [4, 8]})
    first = made.json()["runs"][0]
    job = tab.get(f"runs/{first}").json()["job"]
    name = job["save"]["output_name"]
    values = {**tab.job(name), "network": {"network_dim": 32, "network_alpha": job["network"]["network_alpha"]}}
    answer = tab.post(f"runs/{first}/queue/settings", {"job": values})
    assert answer.status_code == 400
    assert "network.network_dim has to stay 4" in answer.json()["error"]
    values["network"]["network_dim"] = 4
    assert tab.post(f"runs/{first}/queue/settings", {"job": values}).status_code == 200, answer.text


def test_a_queued_run_takes_the_gpu_that_is_chosen_or_any_that_is_free(held, monkeypatch):
    tab, (ann, bob, cat) = held
    assert "sees no CUDA GPU" in tab.post(f"runs/{ann}/queue/device", {"device": "any"}).json()["error"]
    monkeypatch.setattr(type(tab.services.host), "gpus", lambda host: ["cuda:1", "cuda:2", "cuda:0"])
    tab.services.supervisor.close()  # its pass is called below
    tab.services.supervisor.join(60)
    tab.services.supervisor._gpus = tab.services.host.gpus
    assert tab.get("queue").json()["gpus"] == ["cuda:1", "cuda:2", "cuda:0"]
    answer = tab.post(f"runs/{ann}/queue/device", {"device": "cuda:7"})
    assert answer.status_code == 400
    assert "This machine has cuda:0, cuda:1, cuda:2." in answer.json()["error"]
    tab.post(f"runs/{ann}/queue/device", {"device": "cuda:2"})
    for run in (bob, cat):
        tab.post(f"runs/{run}/queue/device", {"device": "any"})
    (tab.services.runs_dir / "queue.json").unlink()
    chosen = tab.services.supervisor._next_by_device({"cuda:1"})
    assert {device: run.id for device, run in chosen.items()} == {"cuda:2": ann, "cuda:0": bob}  # and cat waits
    assert load_job(folder(tab, bob).job_file).training.device == "cuda:0"


def test_a_damaged_hold_is_reported_and_released(held):
    tab, (ann, *_) = held
    (tab.services.runs_dir / "queue.json").write_text("{")
    state = tab.get("queue").json()
    assert state["on_hold"]
    assert "queue.json is damaged" in state["problem"]
    assert tab.post("queue/hold", {"on_hold": False}).json()["problem"] == ""
    wait_until(lambda: tab.get(f"runs/{ann}").json()["state"] != "waiting")


@pytest.mark.parametrize("part", ["move", "hold", "device", "settings"])
def test_a_run_that_is_unknown_or_ended_is_named(tab, finished_run, part):
    body = {"move": {"before": ""}, "hold": {"on_hold": True}, "device": {"device": "any"},
            "settings": {"job": tab.job("penny")}}[part]
    assert "no run 'nobody'" in tab.post(f"runs/nobody/queue/{part}", body).json()["error"]
    answer = tab.post(f"runs/{finished_run(tab)}/queue/{part}", body)
    assert answer.status_code == 400
    assert ("sees no CUDA GPU" if part == "device" else "not in the queue any more") in answer.json()["error"]


def test_nonsense_about_a_queued_run_is_answered_and_leaves_it_in_the_queue(held, monkeypatch):
    tab, (ann, bob, cat) = held
    monkeypatch.setattr(type(tab.services.host), "gpus", lambda host: ["cuda:1", "cuda:0"])
    before = {run["id"]: folder(tab, run["id"]).job_file.read_bytes() for run in tab.get("runs").json()}
    headers, seen = {**HEADERS, "Content-Type": "application/json"}, 0
    for route, field in ((f"runs/{cat}/queue/move", "before"), (f"runs/{cat}/queue/hold", "on_hold"),
                         (f"runs/{cat}/queue/device", "device"), (f"runs/{cat}/queue/settings", "job"),
                         ("space/delete-states", "runs")):
        for value in [*VALUES, [cat], {"save": 3}, {**tab.job("cat"), "training": 3}]:
            for body in (value, {field: value}, {field: tab.job("dot"), "txt2img": value}):
                answer = tab.client.post(f"/train-lora/{route}", content=json.dumps(body), headers=headers)
                assert answer.status_code in (200, 400), (route, body, answer.text)
                assert answer.status_code == 200 or answer.json()["error"]
                seen += answer.status_code == 400
    assert seen > 300
    assert sorted(run["id"] for run in tab.get("runs").json() if run["place"] is not None) == [ann, bob, cat]
    assert all(folder(tab, run).job_file.read_bytes() == before[run] for run in (ann, bob))


def test_a_queued_run_whose_job_file_is_lost_is_listed_as_damaged_and_can_be_withdrawn(tab):
    hold_queue(tab.services.runs_dir)
    run_id = tab.start()
    (tab.services.runs_dir / run_id / "job.yaml").unlink()
    run, = tab.get("runs").json()
    assert (run["id"], run["state"]) == (run_id, "damaged")
    assert tab.post(f"runs/{run_id}/control", {"action": "withdraw"}).status_code == 200
    assert not (tab.services.runs_dir / run_id / "queued.json").exists()
    release_queue(tab.services.runs_dir)
