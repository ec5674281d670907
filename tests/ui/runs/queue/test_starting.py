"""Requests to a run that is starting: claimed from the queue, and no worker is recorded yet."""

from __future__ import annotations

import os
import threading

import pytest

from lib_lora_train.runs import process, supervisor
from lib_lora_train.runs.events import read_events
from lib_lora_train.runs.folder import open_run

from ...conftest import wait_until

POINTS = {"claimed": (supervisor, "settle_device"), "worker exists": (process, "remember_process")}


class Gate:
    """Holds the first call of a function until it is opened."""

    def __init__(self, monkeypatch, place, name):
        self.reached, self.opened, self.then = threading.Event(), threading.Event(), lambda: None
        function = getattr(place, name)

        def held(run, *rest):
            if not self.reached.is_set():
                self.reached.set()
                assert self.opened.wait(60)
                self.then()
            return function(run, *rest)

        monkeypatch.setattr(place, name, held)

    def open(self):
        self.opened.set()


@pytest.fixture(params=POINTS)
def starting(tab, monkeypatch, request):
    """A run that is held at one of the points until the gate is opened."""
    gate = Gate(monkeypatch, *POINTS[request.param])
    run_id = tab.start(max_train_steps=50_000)
    assert gate.reached.wait(60)
    yield tab, run_id, gate
    gate.open()


def asked(tab, run_id, action):
    answer = tab.post(f"runs/{run_id}/control", {"action": action})
    assert answer.status_code == 200, answer.text
    return answer.json()


def events_of(tab, run_id):
    return [event["event"] for event in read_events(open_run(tab.services.runs_dir, run_id).events_file)[0]]


@pytest.mark.parametrize("action", ["stop", "withdraw"])
def test_a_run_that_is_starting_can_be_stopped(starting, action):
    tab, run_id, gate = starting
    assert asked(tab, run_id, action)["control"] == ["stop"]
    gate.open()
    assert tab.wait_for(run_id, "stopped")["step"] <= 1  # the scripted worker looks for a stop after each step
    assert events_of(tab, run_id).count("stopped") == 1


def test_a_run_that_is_starting_can_be_paused_and_resumed(starting):
    tab, run_id, gate = starting
    assert asked(tab, run_id, "pause")["control"] == ["pause"]
    gate.open()
    tab.wait_for(run_id, "paused")
    asked(tab, run_id, "resume")
    tab.wait_for(run_id, "running")
    asked(tab, run_id, "stop")
    tab.wait_for(run_id, "stopped")


def test_a_pause_is_taken_back_before_the_start(starting):
    tab, run_id, gate = starting
    asked(tab, run_id, "pause")
    asked(tab, run_id, "resume")
    gate.open()
    wait_until(lambda: tab.get(f"runs/{run_id}").json()["step"] > 0)
    asked(tab, run_id, "stop")
    tab.wait_for(run_id, "stopped")


def test_what_needs_a_queued_run_is_refused_and_changes_nothing(starting):
    tab, run_id, gate = starting
    before = open_run(tab.services.runs_dir, run_id).job_file.read_bytes()
    for part, body in (("settings", {"job": tab.job("alice")}), ("hold", {"on_hold": True}), ("move", {"before": ""})):
        answer = tab.post(f"runs/{run_id}/queue/{part}", body)
        assert answer.status_code == 400, part
        assert "has been started or removed" in answer.json()["error"]
    refused = tab.post(f"runs/{run_id}/delete", {"files": False})
    assert (refused.status_code, "first, then delete" in refused.text) == (400, True)
    assert tab.post(f"runs/{run_id}/note", {"name": "Penny the fox"}).json()["name"] == "Penny the fox"
    assert open_run(tab.services.runs_dir, run_id).job_file.read_bytes() == before
    asked(tab, run_id, "stop")
    gate.open()
    assert tab.wait_for(run_id, "stopped")["name"] == "Penny the fox"


@pytest.mark.parametrize("action", ["stop", "withdraw", "pause", "hold", "settings"])
def test_a_claim_that_is_given_back_forgets_no_request(tab, monkeypatch, action):
    """The settings changed between the offer of the webui's model and the claim."""
    gate = Gate(monkeypatch, *POINTS["claimed"])
    run_id = tab.start(max_train_steps=50_000)
    run = open_run(tab.services.runs_dir, run_id)
    gate.then = lambda: os.utime(run.job_file, (1, 1))
    assert gate.reached.wait(60)
    if action in ("stop", "withdraw", "pause"):
        asked(tab, run_id, action)
        gate.open()
    else:
        threading.Timer(0.1, gate.open).start()  # the request waits meanwhile
        body = {"on_hold": True} if action == "hold" else {"job": tab.job("penny", max_train_steps=1)}
        answer = tab.post(f"runs/{run_id}/queue/{action}", body)
        assert answer.status_code == 200, answer.text
    if action in ("pause", "hold"):
        held = wait_until(lambda: (found := tab.get(f"runs/{run_id}").json())["on_hold"] and not found["control"]
                          and found)
        assert held["state"] == "waiting"
        asked(tab, run_id, "withdraw")
    tab.wait_for(run_id, "finished" if action == "settings" else "stopped")
    assert ("step" in events_of(tab, run_id)) == (action == "settings")


def test_a_stop_of_an_earlier_worker_does_not_stop_a_run_that_is_queued_again(tab):
    run_id = tab.start(max_train_steps=50_000)
    wait_until(lambda: tab.get(f"runs/{run_id}").json()["step"] > 0)
    asked(tab, run_id, "stop")
    tab.wait_for(run_id, "stopped")
    assert open_run(tab.services.runs_dir, run_id).control.asked("stop")
    answer = tab.post(f"runs/{run_id}/continue", {"how": "resume"})
    assert answer.status_code == 200, answer.text
    tab.wait_for(run_id, "running")
    asked(tab, run_id, "stop")
    tab.wait_for(run_id, "stopped")
