"""One request to stand still, whoever makes it: answered, resumed, and outlived by nothing that died."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from lib_lora_train.runs import hold as hold_module
from lib_lora_train.runs.control import PAUSE, STOP
from lib_lora_train.runs.events import EventWriter, read_events
from lib_lora_train.runs.folder import RunFolder, create_run
from lib_lora_train.runs.hold import PLOT, STRIP, USER, WEBUI, HoldRequests, Reason
from lib_lora_train.runs.process import remember_process
from lib_lora_train.runs.standing import Standing
from lib_lora_train.runs.summary import RunIndex

ROOT = Path(__file__).resolve().parents[2]
PICTURE = Reason(WEBUI, "an image in txt2img")
ASK = """
import sys
from pathlib import Path
from lib_lora_train.runs.hold import WEBUI, HoldRequests, Reason
HoldRequests(Path(sys.argv[1])).ask(Reason(WEBUI, "an image in txt2img"), gives_gpu=sys.argv[2] == "gpu")
print("asked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run whose worker this process stands for."""
    run = create_run(tmp_path / "runs", "penny", "base: {}\n")
    remember_process(run)
    return run


class Log:
    """A worker's report, which counts how long it stood still and where it was."""

    def __init__(self, events: EventWriter) -> None:
        self.event = events.write
        self.still_seconds = 0.0
        self.turns: list[str] = []

    def stood_still(self, seconds: float) -> None:
        self.still_seconds += seconds

    @contextmanager
    def leave(self):
        self.turns.append("off")
        yield
        self.turns.append("on")


class Worker:
    """Passes one boundary in a thread; ``on_gpu`` is whether it can leave the GPU there."""

    def __init__(self, run: RunFolder, *, leaves: bool = True) -> None:
        self.run, self.granted = run, []
        self._events = EventWriter(run.events_file)
        self.log = Log(self._events)
        self._thread = threading.Thread(target=self._wait, args=(self.log.leave if leaves else None,))
        self._thread.start()

    def _wait(self, leave) -> None:
        self.granted = Standing(self.run.control, self.log).wait(leave)
        self._events.close()

    def answered(self, *kinds: str) -> list[dict]:
        """The events so far, waiting until their kinds are ``kinds``."""
        return until(lambda: [event["event"] for event in self.events()] == list(kinds) and self.events())

    def events(self) -> list[dict]:
        return read_events(self.run.events_file)[0]

    def ended(self) -> bool:
        self._thread.join(20)
        return not self._thread.is_alive()


def until(condition):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.005)
    raise AssertionError("it did not come about")


def state(run: RunFolder) -> tuple[str, str]:
    """State and what it is held for, as somebody sees it who looks for the first time."""
    summary = RunIndex(run.path.parent).of(run)
    return summary.state, summary.held_for


def requester(run: RunFolder, how: str = "") -> subprocess.Popen:
    """Another process that has asked the run to stand still."""
    process = subprocess.Popen([sys.executable, "-c", ASK, str(run.path / "control"), how], cwd=ROOT, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == "asked\n"
    return process


def kill(process: subprocess.Popen) -> None:
    process.kill()
    process.communicate()


def test_nobody_asks_and_nothing_is_waited_for(run):
    worker = Worker(run)
    assert worker.ended() and worker.granted == [] and worker.events() == []


@pytest.mark.parametrize(("reason", "gives_gpu", "seen"), [
    (Reason(USER, "you"), True, ("paused", "")),
    (PICTURE, False, ("held", "an image in txt2img")),
    (PICTURE, True, ("held", "an image in txt2img")),
    (Reason(PLOT, "a plot"), False, ("held", "a plot")),
    (Reason(STRIP, "an image of the test strip"), True, ("held", "an image of the test strip"))])
def test_whoever_asks_is_answered_in_the_same_way(run, reason, gives_gpu, seen):
    hold = run.control.holds.ask(reason, gives_gpu=gives_gpu, lasting=reason.who == USER)
    worker = Worker(run)
    held = worker.answered("held")[0]
    assert (held["who"], held["why"]) == (reason.who, reason.why)
    assert (held["token"], held["gave_gpu"]) == (hold.token, gives_gpu)
    assert state(run) == seen and RunIndex(run.path.parent).of(run).alive
    run.control.holds.withdraw(hold)
    resumed = worker.answered("held", "resumed")[1]
    assert (resumed["who"], resumed["why"], resumed["token"]) == (held["who"], held["why"], held["token"])
    assert worker.ended() and worker.granted == [hold] and state(run) == ("running", "")
    assert worker.log.turns == (["off", "on"] if gives_gpu else [])
    assert resumed["seconds"] <= worker.log.still_seconds + 0.01


def test_a_picture_while_the_user_has_paused_leaves_the_run_paused(run):
    run.control.request(PAUSE)
    worker = Worker(run)
    worker.answered("held")
    picture = run.control.holds.ask(PICTURE, gives_gpu=False)
    assert worker.answered("held", "held")[1]["gave_gpu"]  # it left the GPU for the pause
    assert state(run) == ("paused", "an image in txt2img")
    run.control.holds.withdraw(picture)
    worker.answered("held", "held", "resumed")
    assert state(run) == ("paused", "")
    run.control.withdraw(PAUSE)
    assert worker.ended() and worker.log.turns == ["off", "on"]


def test_a_pause_in_the_middle_of_a_picture_lasts_when_the_picture_is_done(run):
    picture = run.control.holds.ask(PICTURE, gives_gpu=False)
    worker = Worker(run)
    worker.answered("held")
    assert worker.log.turns == []
    run.control.request(PAUSE)
    worker.answered("held", "held")
    run.control.holds.withdraw(picture)
    worker.answered("held", "held", "resumed")
    assert state(run) == ("paused", "") and worker.log.turns == ["off"]
    run.control.withdraw(PAUSE)
    assert worker.ended() and state(run) == ("running", "")


def test_a_pause_asked_for_twice_is_one_and_two_at_once_are_both_withdrawn(run):
    run.control.request(PAUSE)
    run.control.request(PAUSE)
    assert len(run.control.holds.asked()) == 1
    run.control.holds.ask(Reason(USER, "you"), gives_gpu=True, lasting=True)
    run.control.withdraw(PAUSE)
    assert run.control.holds.asked() == [] and not run.control.asked(PAUSE)


@pytest.mark.parametrize("how", ["", "gpu"])
def test_a_requester_that_is_killed_holds_the_run_no_longer(run, how):
    process = requester(run, how)
    worker = Worker(run)
    worker.answered("held")
    kill(process)
    assert worker.ended() and worker.granted[0].orphaned
    assert state(run) == ("running", "") and list((run.path / "control").iterdir()) == []


def test_of_two_requesters_the_one_that_lives_still_holds_the_run(run):
    dies, lives = requester(run), requester(run, "gpu")
    worker = Worker(run)
    worker.answered("held", "held")
    kill(dies)
    worker.answered("held", "held", "resumed")
    assert state(run) == ("held", "an image in txt2img")
    kill(lives)
    assert worker.ended()


def test_the_users_pause_outlives_the_process_that_asked_for_it(run):
    subprocess.run([sys.executable, "-c", f"""
from pathlib import Path
from lib_lora_train.runs.control import RunControl
RunControl(Path({str(run.path / "control")!r})).request("pause")"""], cwd=ROOT, check=True)
    assert run.control.asked(PAUSE)
    worker = Worker(run)
    worker.answered("held")
    assert state(run) == ("paused", "")
    run.control.withdraw(PAUSE)
    assert worker.ended()


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"token": "a"}', b"\xff" * 40,
                                     b'{"token": "a", "who": "webui", "why": "x", "gives_gpu": true, "asked": 1}',
                                     b'{"token": 3, "who": "user", "why": "x", "gives_gpu": true, "asked": 1}'])
def test_a_request_that_nobody_wrote_holds_nothing_and_is_removed(run, content):
    file = run.path / "control" / "hold-a.json"
    file.write_bytes(content)
    assert run.control.holds.asked() == [] and not file.exists()


def test_a_run_on_the_gpu_does_not_answer_where_it_cannot_leave_it(run):
    run.control.request(PAUSE)
    worker = Worker(run, leaves=False)
    assert worker.ended() and worker.events() == []
    picture = run.control.holds.ask(PICTURE, gives_gpu=False)
    worker = Worker(run, leaves=False)
    worker.answered("held")
    run.control.holds.withdraw(picture)
    assert worker.ended() and [hold.token for hold in worker.granted] == [picture.token]


def test_a_stop_ends_a_pause_but_not_the_wait_for_weights_that_are_written_to(run):
    run.control.request(PAUSE)
    picture = run.control.holds.ask(PICTURE, gives_gpu=False)
    worker = Worker(run)
    worker.answered("held", "held")
    run.control.request(STOP)
    assert [event["who"] for event in worker.answered("held", "held", "resumed")] == [USER, WEBUI, USER]
    run.control.holds.withdraw(picture)
    assert worker.ended()


def test_a_worker_that_is_killed_while_held_is_interrupted_and_its_next_one_runs(run):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as worker:
        remember_process(run, worker.pid)
        with EventWriter(run.events_file) as events:
            events.write("held", {"who": WEBUI, "why": "a plot", "token": "a", "gave_gpu": False})
        assert state(run) == ("held", "a plot")
        os.kill(worker.pid, signal.SIGKILL)
    assert state(run) == ("lost", "")
    remember_process(run)
    with EventWriter(run.events_file) as events:
        events.write("phase", {"name": "dataset", "text": "Reading the images"})
    assert state(run) == ("running", "")


@pytest.mark.parametrize(("events", "seen", "gave_gpu"), [
    ([("paused", {})], ("paused", ""), True), ([("paused", {}), ("resumed", {})], ("running", ""), False),
    ([("held", {"token": "a"})], ("held", "an image"), False),
    ([("held", {"token": "a"}), ("held", {"token": "b"}), ("went_on", {"seconds": 2.0})], ("running", ""), False),
    ([("held", {"token": "a", "gpu_free": True})], ("held", "an image"), True),
    ([("paused", {}), ("held", {"token": "a"}), ("went_on", {"seconds": 2.0})], ("paused", ""), True)])
def test_what_earlier_versions_wrote_is_read_as_before(run, events, seen, gave_gpu):
    with EventWriter(run.events_file) as log:
        for kind, fields in events:
            log.write(kind, fields)
    summary = RunIndex(run.path.parent).of(run)
    assert ((summary.state, summary.held_for), summary.gave_gpu) == (seen, gave_gpu)


def write(run: RunFolder, *events: dict) -> None:
    with run.events_file.open("a") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)


def test_time_worked_and_time_stood_still_are_kept_apart_over_all_that_has_ended(run):
    write(run, {"time": 100.0, "event": "held", "who": USER, "why": "you", "token": "a", "gave_gpu": True},
          {"time": 2500.0, "event": "resumed", "who": USER, "why": "you", "token": "a", "seconds": 2400.0},
          {"time": 2560.0, "event": "stopped", "steps": 5, "seconds": 60.0, "still_seconds": 2400.0},
          {"time": 2600.0, "event": "queued", "name": "penny"},
          {"time": 2700.0, "event": "finished", "steps": 9, "seconds": 40.0, "still_seconds": 0.0})
    summary = RunIndex(run.path.parent).of(run)
    assert (summary.seconds, summary.still_seconds) == (100.0, 2400.0)


@pytest.mark.parametrize(("events", "still"), [
    ([{"time": 100.0, "event": "paused"}, {"time": 2500.0, "event": "resumed"}], 2400.0),
    ([{"time": 100.0, "event": "held", "token": "a"}, {"time": 130.0, "event": "went_on", "seconds": 30.0},
      {"time": 140.0, "event": "held", "token": "b"}, {"time": 150.0, "event": "went_on", "seconds": 10.0}], 40.0),
    ([{"time": 100.0, "event": "paused"}, {"time": 110.0, "event": "held", "token": "a"},
      {"time": 120.0, "event": "went_on", "seconds": 10.0}, {"time": 200.0, "event": "resumed"}], 100.0)])
def test_waits_are_taken_out_of_the_duration_that_earlier_versions_wrote(run, events, still):
    write(run, *events, {"time": 3000.0, "event": "finished", "steps": 5, "seconds": still + 60.0})
    summary = RunIndex(run.path.parent).of(run)
    assert (summary.seconds, summary.still_seconds) == (60.0, still)


def test_the_usual_pace_of_a_run_is_not_that_of_its_last_disturbed_steps(run):
    steps = [{"time": 1.0, "event": "step", "step": step, "total_steps": 20, "seconds_per_step": pace}
             for step, pace in enumerate([0.2] * 15 + [6.0] * 5, 1)]
    write(run, *steps)
    assert RunIndex(run.path.parent).of(run).usual_seconds_per_step == 0.2


def test_on_windows_a_file_that_is_just_being_read_is_withdrawn_all_the_same(run, monkeypatch):
    hold = run.control.holds.ask(PICTURE, gives_gpu=False)
    unlink, refusals = Path.unlink, iter([True, True, False])

    def busy(self, missing_ok=False):
        if next(refusals):
            raise PermissionError(13, "The process cannot access the file")
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", busy)
    monkeypatch.setattr(hold_module, "_ATTEMPTS", 20)
    HoldRequests(run.path / "control").withdraw(hold)
    assert run.control.holds.asked() == []
