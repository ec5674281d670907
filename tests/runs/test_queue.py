"""Runs wait their turn in files, so that no process has to remember them; names of LoRA files are never taken twice."""

from __future__ import annotations

import os
import threading
import time

import pytest

from lib_lora_train.runs import queue
from lib_lora_train.runs.events import read_events
from lib_lora_train.runs.folder import create_run
from lib_lora_train.runs.names import lora_names, next_free_name
from lib_lora_train.runs.summary import RunIndex


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
