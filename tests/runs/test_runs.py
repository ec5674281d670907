"""A run folder tells the truth about its run to anyone who reads it, whatever happened to the worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib_lora_train.errors import RunError
from lib_lora_train.files.atomic import write_atomically
from lib_lora_train.runs import process as process_module
from lib_lora_train.runs import summary as summary_module
from lib_lora_train.runs.events import EventWriter, read_events
from lib_lora_train.runs.folder import all_runs, create_run, open_run
from lib_lora_train.runs.process import live_pid, run_status, start_worker
from lib_lora_train.runs.summary import RunIndex

SLEEPER = [sys.executable, "-c", "import time; print('hello', flush=True); time.sleep(600)"]


@pytest.fixture
def run(tmp_path):
    return create_run(tmp_path / "runs", "penny", "base: {}\n")


@pytest.fixture
def worker(run):
    pid = start_worker(run, SLEEPER, os.environ)
    yield pid
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def test_events_are_read_from_where_one_left_off(run):
    with EventWriter(run.events_file) as events:
        events.write("phase", {"name": "model", "text": "Loading"})
        first, offset = read_events(run.events_file)
        events.write("step", {"loss": float("nan")})
        second, _ = read_events(run.events_file, offset)
    assert [event["event"] for event in first] == ["phase"]
    assert second[0]["loss"] is None


def test_a_line_still_being_written_is_left_for_later_and_a_cut_one_is_skipped(run):
    run.events_file.write_bytes(b'{"event": "phase", "time": 1}\n{"event": "st')
    events, offset = read_events(run.events_file)
    assert [event["event"] for event in events] == ["phase"]
    with EventWriter(run.events_file) as writer:
        writer.write("resumed")
    events, _ = read_events(run.events_file, offset)
    assert [event["event"] for event in events] == ["resumed"]


def test_a_waiting_run_has_no_worker(run):
    assert run_status(run).state == "waiting"


def test_a_live_worker_is_found_by_its_folder_and_a_second_is_refused(run, worker):
    assert live_pid(run) == worker
    assert run_status(run).state == "running"
    with pytest.raises(RunError, match="already going on"):
        start_worker(run, SLEEPER, os.environ)


def test_pause_and_resume_are_seen_in_the_state(run, worker):
    with EventWriter(run.events_file) as events:
        events.write("paused")
        assert run_status(run).state == "paused"
        events.write("resumed")
        assert run_status(run).state == "running"


def test_a_killed_worker_is_lost_and_not_running(run, worker):
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    assert run_status(run).state == "lost"


def test_a_pid_that_another_program_has_now_is_not_the_worker(run):
    write_atomically(run.process_file, json.dumps({"pid": os.getpid(), "created": time.time() - 3600}))
    assert live_pid(run) is None
    assert run_status(run).state == "lost"


@pytest.mark.parametrize("ending, state", [("finished", "finished"), ("stopped", "stopped"), ("error", "failed")])
def test_the_last_word_of_the_worker_counts(run, worker, ending, state):
    with EventWriter(run.events_file) as events:
        events.write(ending, {"text": "x"})
    assert run_status(run).state == state


@pytest.mark.parametrize("module", [process_module, summary_module])
def test_a_worker_that_ends_while_one_looks_is_not_taken_for_lost(run, worker, module, monkeypatch):
    def ends_now(folder):
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        with EventWriter(run.events_file) as events:
            events.write("finished", {"steps": 1, "seconds": 1.0})
        return live_pid(folder)

    index = RunIndex(run.path.parent)
    assert index.of(run).state == "running"
    monkeypatch.setattr(module, "live_pid", ends_now)
    assert (run_status(run) if module is process_module else index.of(run)).state == "finished"


@pytest.mark.parametrize("module", [process_module, summary_module])
def test_a_worker_that_is_noted_while_one_looks_is_not_taken_for_lost(run, module, monkeypatch):
    def noted_now(folder):
        pid = live_pid(folder)
        run.process_file.write_text(json.dumps({"pid": os.getpid(), "created": 1.0}))
        return pid

    monkeypatch.setattr(module, "live_pid", noted_now)
    looked = run_status(run) if module is process_module else RunIndex(run.path.parent).of(run)
    assert looked.state == "waiting"


def test_a_run_that_goes_on_waits_until_its_new_worker_is_noted(run, worker):
    index = RunIndex(run.path.parent)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    assert index.of(run).state == run_status(run).state == "lost"
    with EventWriter(run.events_file) as events:
        events.write("queued", {"steps": 1, "total_steps": 2, "name": "penny"})
    assert index.of(run).state == run_status(run).state == "waiting"
    os.utime(run.process_file, (time.time() + 1, time.time() + 1))  # one was started since, and is gone
    assert index.of(run).state == run_status(run).state == "lost"


def test_output_goes_to_the_log(run, worker):
    deadline = time.monotonic() + 240
    while "hello" not in run.log_tail() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "hello" in run.log_tail()


def test_runs_with_one_name_in_one_second_get_folders_of_their_own(tmp_path):
    ids = {create_run(tmp_path, "penny / x", "").id for _ in range(5)}
    assert len(ids) == 5
    assert {run.id for run in all_runs(tmp_path)} == ids


@pytest.mark.parametrize("run_id", ["..", "../x", "", ".", "nothing", "/etc"])
def test_a_run_outside_the_folder_cannot_be_opened(tmp_path, run_id):
    with pytest.raises(RunError):
        open_run(tmp_path, run_id)


def test_an_atomic_write_leaves_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "caption.txt"
    path.write_text("old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["caption.txt"]


def test_a_command_that_does_not_exist_is_an_error(run):
    with pytest.raises(RunError, match="could not be started"):
        start_worker(run, ["/no/such/python"], os.environ)


def test_control_requests_are_files(run):
    run.control.request("pause")
    assert run.control.asked("pause")
    run.control.withdraw("pause")
    assert not run.control.asked("pause")
    with pytest.raises(ValueError):
        run.control.request("explode")


def test_the_worker_outlives_the_process_that_started_it(run):
    code = ("import os, sys; from pathlib import Path; from lib_lora_train.runs.folder import RunFolder;"
            "from lib_lora_train.runs.process import start_worker;"
            f"start_worker(RunFolder(Path({str(run.path)!r})), {SLEEPER!r}, os.environ)")
    subprocess.run([sys.executable, "-c", code], check=True)
    pid = live_pid(run)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
