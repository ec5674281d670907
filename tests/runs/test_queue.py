"""Runs wait their turn in files, so that no process has to remember them; names of LoRA files are never taken twice."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lib_lora_train.errors import RunError
from lib_lora_train.files.atomic import write_atomically
from lib_lora_train.runs import queue
from lib_lora_train.runs.events import read_events
from lib_lora_train.runs.folder import create_run
from lib_lora_train.runs.names import lora_names, next_free_name
from lib_lora_train.runs.queue_hold import (
    QUEUE_FILE,
    QueueHold,
    hold_after_failures,
    hold_if_failed,
    hold_queue,
    queue_hold,
    release_queue,
)
from lib_lora_train.runs.summary import RunIndex, RunSummary

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def make_run(tmp_path):
    def make(name):
        return create_run(tmp_path, name, "save:\n  output_name: x\n")
    return make


def test_runs_wait_in_the_order_in_which_they_were_asked_for(make_run, tmp_path):
    first, second, third = make_run("c"), make_run("b"), make_run("a")
    for run in (first, second, third):
        queue.enqueue(run, "cuda:0")
    assert [run.id for run in queue.waiting_runs(tmp_path)] == [first.id, second.id, third.id]
    assert queue.queued_device(second) == "cuda:0"


def test_of_many_that_want_to_start_a_run_one_gets_it(make_run):
    run = make_run("penny")
    queue.enqueue(run, "cpu")
    ready, won = threading.Barrier(8), []

    def try_to_claim():
        ready.wait()
        won.append(queue.claim(run))

    threads = [threading.Thread(target=try_to_claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]
    assert queue.queued_device(run) is None
    assert queue.claimed_device(run) == "cpu"


def test_whoever_loses_the_race_for_a_run_leaves_the_winners_files_alone(make_run):
    """The winner has noted its worker by the time that the loser finds the run gone."""
    for attempt in range(40):
        run = make_run(f"penny{attempt}")
        queue.enqueue(run, "cpu")
        ready = threading.Barrier(4)

        def try_to_claim(run=run, ready=ready):
            ready.wait()
            if queue.claim(run):
                run.process_file.write_text("the winner's")

        threads = [threading.Thread(target=try_to_claim) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert run.process_file.read_text() == "the winner's"


def test_a_claim_that_finds_the_run_gone_deletes_nothing(make_run, monkeypatch):
    run = make_run("penny")
    queue.enqueue(run, "cpu")
    utime = os.utime

    def another_wins_here(path):
        utime(path)
        (run.path / queue.QUEUED_FILE).replace(run.path / queue.CLAIMED_FILE)
        run.process_file.write_text("the winner's")

    monkeypatch.setattr("os.utime", another_wins_here)
    assert not queue.claim(run)
    assert run.process_file.read_text() == "the winner's"


def test_a_run_that_is_withdrawn_counts_as_stopped(make_run, tmp_path):
    run = make_run("penny")
    queue.enqueue(run, "cpu")
    assert queue.withdraw(run)
    assert not queue.withdraw(run)
    assert list(queue.waiting_runs(tmp_path)) == []
    assert RunIndex(tmp_path).of(run).state == "stopped"
    assert [event["event"] for event in read_events(run.events_file)[0]] == ["stopped"]


def test_a_run_whose_claimer_died_before_the_start_waits_again(make_run, tmp_path):
    run = make_run("penny")
    queue.enqueue(run, "cuda:1")
    queue.claim(run)
    queue.requeue_abandoned(tmp_path)
    assert queue.queued_device(run) is None  # its start may still be under way
    long_ago = time.time() - 3600
    os.utime(run.path / queue.CLAIMED_FILE, (long_ago, long_ago))
    queue.requeue_abandoned(tmp_path)
    assert queue.queued_device(run) == "cuda:1"


def test_a_run_that_waited_long_is_not_taken_for_abandoned_when_it_is_claimed(make_run, tmp_path):
    run = make_run("penny")
    queue.enqueue(run, "cpu")
    long_ago = time.time() - 3600
    os.utime(run.path / queue.QUEUED_FILE, (long_ago, long_ago))
    queue.claim(run)
    queue.requeue_abandoned(tmp_path)
    assert queue.queued_device(run) is None


def test_a_damaged_note_in_the_queue_is_passed_over(make_run, tmp_path):
    run, other = make_run("penny"), make_run("alice")
    (run.path / queue.QUEUED_FILE).write_text("{")
    queue.enqueue(other, "cpu")
    assert [waiting.id for waiting in queue.waiting_runs(tmp_path)] == [other.id]


def test_names_are_found_in_every_folder_and_without_their_epoch(tmp_path):
    (tmp_path / "people").mkdir()
    for name in ("Alice.safetensors", "people/penny-000004.safetensors", "bob-step00001000.pt", "carol.json",
                 "dave.ckpt"):
        (tmp_path / name).touch()
    assert lora_names(tmp_path) == {"alice", "penny-000004", "penny", "bob-step00001000", "bob", "dave"}
    assert lora_names(tmp_path / "nowhere") == set()


@pytest.mark.parametrize(("name", "taken", "free"), [
    ("penny", [], "penny"), ("penny", ["alice"], "penny"), ("penny", ["penny"], "penny-v2"),
    ("Penny", ["penny"], "Penny-v2"), ("penny", ["penny", "penny-v2", "penny-v3"], "penny-v4"),
    ("penny-v2", ["penny-v2"], "penny-v3"), ("penny", ["penny", "penny-v3"], "penny-v2"),
    ("a-v9", ["a-v9", "a-v10"], "a-v11")])
def test_a_taken_name_gets_the_next_number(name, taken, free):
    assert next_free_name(name, taken) == free


def order(runs):
    return [run.id.split("-")[-1] for run in queue.waiting_runs(runs)]


@pytest.fixture
def queued(make_run, tmp_path):
    """Four queued runs: a, b, c, d."""
    runs = {name: make_run(name) for name in "abcd"}
    for run in runs.values():
        queue.enqueue(run, "cuda:0")
    return runs


@pytest.mark.parametrize(("moved", "before", "result"), [
    ("d", "a", "dabc"), ("a", "", "bcda"), ("a", "d", "bcad"), ("c", "b", "acbd"), ("b", "c", "abcd"), ("d", "", "abcd")
])
def test_a_run_is_moved_in_front_of_another_or_to_the_end(queued, tmp_path, moved, before, result):
    queue.move_queued(queued[moved], queued[before].id if before else "")
    assert "".join(order(tmp_path)) == result
    late = create_run(tmp_path, "e", "")
    queue.enqueue(late, "cpu")
    assert order(tmp_path)[-1] == "e"


def test_the_order_holds_however_often_two_runs_change_places(queued, tmp_path):
    """Between two numbers there are only so many others."""
    for number in range(120):
        moved, before = ("b", "c") if number % 2 else ("c", "b")
        queue.move_queued(queued[moved], queued[before].id)
        assert "".join(order(tmp_path)) == ("abcd" if number % 2 else "acbd")


def test_a_run_is_not_moved_before_one_that_has_left_the_queue(queued, tmp_path):
    queue.withdraw(queued["b"])
    with pytest.raises(RunError, match="not in the queue any more"):
        queue.move_queued(queued["d"], queued["b"].id)
    with pytest.raises(RunError, match="started or removed"):
        queue.move_queued(queued["b"], queued["d"].id)
    assert "".join(order(tmp_path)) == "acd"


def test_runs_queued_by_an_earlier_version_keep_their_order(make_run, tmp_path):
    for name, asked in (("late", 30.5), ("early", 10)):
        (make_run(name).path / queue.QUEUED_FILE).write_text(f'{{"device": "cpu", "asked": {asked}}}')
    assert order(tmp_path) == ["early", "late"]


def test_a_run_on_hold_and_a_queue_on_hold_start_nothing(queued, tmp_path, make_run):
    queue.change_queued(queued["a"], lambda request: replace(request, on_hold=True))
    assert [run.id for run, _ in queue.startable(tmp_path)] == [queued[name].id for name in "bcd"]
    assert not queue.claim(queued["a"])
    hold_queue(tmp_path)
    tagging = create_run(tmp_path, "tags", "", "tag")
    queue.enqueue(tagging, "cpu")
    assert [run.id for run, _ in queue.startable(tmp_path)] == [tagging.id]  # was asked for now, and is waited for
    assert not queue.claim(queued["b"])
    assert order(tmp_path) == ["a", "b", "c", "d", "tags"]
    release_queue(tmp_path)
    release_queue(tmp_path)
    assert queue.claim(queued["b"])


def test_a_run_moved_to_another_gpu_meanwhile_is_not_started_on_the_old_one(queued):
    queue.change_queued(queued["a"], lambda request: replace(request, device="cuda:1"))
    assert not queue.claim(queued["a"], "cuda:0")
    assert queue.claim(queued["a"], "cuda:1")


@pytest.mark.parametrize(("state", "when", "holds"), [
    ("failed", +1, True), ("lost", +1, True), ("failed", -1, False), ("lost", -1, False), ("finished", +1, False),
    ("stopped", +1, False)])
def test_a_failure_holds_the_queue_if_that_is_wanted_until_it_is_released(queued, tmp_path, state, when, holds):
    run = RunSummary("1-penny", "penny", 0.0, state=state, last_event=time.time() + when)
    hold_if_failed(tmp_path, [run])
    assert queue_hold(tmp_path) == QueueHold()  # by default the others are trained
    hold_after_failures(tmp_path, wanted=True)
    assert not queue_hold(tmp_path).on_hold and len(queue.startable(tmp_path)) == 4
    hold_if_failed(tmp_path, [run])
    hold = queue_hold(tmp_path)
    assert (hold.on_hold, hold.failed) == (holds, "penny" if holds else "")
    assert len(queue.startable(tmp_path)) == (0 if holds else 4)
    run.last_event = 0.0
    release_queue(tmp_path)
    hold_if_failed(tmp_path, [run])  # an old failure
    assert not queue_hold(tmp_path).on_hold and queue_hold(tmp_path).after_failure
    hold_queue(tmp_path)
    assert queue_hold(tmp_path).failed == "" and queue_hold(tmp_path).after_failure
    release_queue(tmp_path)
    hold_after_failures(tmp_path, wanted=False)
    assert not (tmp_path / QUEUE_FILE).exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"on_hold": 1, "since": 3}',
                                     '{"on_hold": false, "since": 1, "after_failure": 3}', '{"on_hold": false}',
                                     "null"])
def test_a_damaged_hold_of_the_queue_holds_it_and_says_so(queued, tmp_path, content):
    (tmp_path / QUEUE_FILE).write_text(content)
    hold = queue_hold(tmp_path)
    assert hold.on_hold
    assert str(tmp_path / QUEUE_FILE) in hold.problem
    assert "Release the queue" in hold.problem
    assert queue.startable(tmp_path) == []
    release_queue(tmp_path)
    assert queue_hold(tmp_path) == QueueHold()


@pytest.mark.parametrize("content", ["{", '{"device": "cpu", "asked": 1, "place": "first"}',
                                     '{"device": "cpu", "asked": 1, "on_hold": "no"}'])
def test_a_damaged_request_is_named_and_can_be_withdrawn(queued, tmp_path, content):
    (queued["b"].path / queue.QUEUED_FILE).write_text(content)
    with pytest.raises(RunError, match=r"queued\.json is damaged"):
        queue.move_queued(queued["b"], "")
    assert RunIndex(tmp_path).of(queued["b"]).state == "damaged"
    assert "".join(order(tmp_path)) == "acd"
    assert queue.withdraw(queued["b"])


def test_a_change_that_was_interrupted_leaves_the_run_in_the_queue(queued, tmp_path):
    file = queued["b"].path / queue.CHANGING_FILE
    (queued["b"].path / queue.QUEUED_FILE).replace(file)
    assert "".join(order(tmp_path)) == "abcd"
    assert RunIndex(tmp_path).of(queued["b"]).place is not None
    queue.requeue_abandoned(tmp_path)
    assert file.exists()
    os.utime(file, (1, 1))
    queue.requeue_abandoned(tmp_path)
    assert queue.claim(queued["b"])


CLAIMER = """
import sys, pathlib
from lib_lora_train.runs.folder import RunFolder
from lib_lora_train.runs.queue import claim
print("ready", flush=True)
for line in sys.stdin:
    run = RunFolder(pathlib.Path(line.strip()))
    while not claim(run):
        pass
    if not run.id.endswith("-run1"):
        run.process_file.write_text("{}")
    print(run.job_file.read_text(), flush=True)
"""


def test_a_run_is_started_with_its_old_or_its_new_settings_and_never_twice(make_run):
    """One process claims, another changes settings and queue file; who was too late is refused.

    The first run is changed while it is claimed, the second is claimed before, the others are raced for. A worker is
    recorded at once, but for the second run: a change waits for its start.
    """
    with subprocess.Popen([sys.executable, "-c", CLAIMER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          cwd=ROOT) as claimer:
        claimer.stdout.readline()
        for number in range(60):
            run = make_run(f"run{number}")
            run.job_file.write_text("old\n")
            queue.enqueue(run, "cpu")

            def let_it_claim(run=run):
                claimer.stdin.write(f"{run.path}\n")
                claimer.stdin.flush()

            def change(request, run=run, number=number, let_it_claim=let_it_claim):
                if number == 0:
                    let_it_claim()
                write_atomically(run.job_file, "new\n")
                return replace(request, device="cuda:1")

            if number:
                let_it_claim()
            started = [claimer.stdout.readline(), claimer.stdout.readline()] if number == 1 else []
            time.sleep(number % 6 / 2000)
            try:
                queue.change_queued(run, change)
                settings, device = "new", "cuda:1"
                assert number != 1
            except RunError as problem:
                assert "started or removed" in str(problem)
                settings, device = "old", "cpu"
                assert number != 0
            started = started or [claimer.stdout.readline(), claimer.stdout.readline()]
            assert started == [f"{settings}\n", "\n"]
            assert run.job_file.read_text() == f"{settings}\n"
            assert queue.claimed_device(run) == device
            assert not (run.path / queue.QUEUED_FILE).exists() and not (run.path / queue.CHANGING_FILE).exists()
        claimer.stdin.close()
