"""A run folder tells the truth about its run to anyone who reads it, whatever happened to the worker."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib_lora_train.cli.train import train_command
from lib_lora_train.config.load import job_from, job_to_yaml
from lib_lora_train.errors import RunError
from lib_lora_train.files.atomic import write_atomically
from lib_lora_train.runs import state as state_module
from lib_lora_train.runs.events import EventWriter, read_events
from lib_lora_train.runs.folder import KNOWS, all_runs, create_run, open_run
from lib_lora_train.runs.process import live_pid, only_worker, pid_of, start_worker
from lib_lora_train.runs.process_mark import mark_of
from lib_lora_train.runs.summary import RunIndex, RunSummary
from lib_lora_train.runs.trash import move_to_trash, trash_entries
from tests.crashes import refused_in_turn

ROOT = Path(__file__).resolve().parents[2]
MINI = ROOT / "demo" / "mini_sd15.safetensors"
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


def prepared(run) -> RunSummary:
    """The run as somebody sees it who looks for the first time."""
    return RunIndex(run.path.parent).of(run)


def test_events_are_read_from_where_one_left_off(run):
    with EventWriter(run.events_file) as events:
        events.write("phase", {"name": "model", "text": "Loading"})
        first, offset = read_events(run.events_file)
        events.write("step", {"step": 1, "total_steps": 2, "loss": float("nan")})
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
    assert prepared(run).state == "waiting"


def test_a_live_worker_is_found_by_its_folder_and_a_second_is_refused(run, worker):
    assert live_pid(run) == worker
    assert prepared(run).state == "running"
    with pytest.raises(RunError, match=f"already being trained by process {worker}"):
        start_worker(run, SLEEPER, os.environ)


def test_pause_and_resume_are_seen_in_the_state(run, worker):
    with EventWriter(run.events_file) as events:
        events.write("held", {"who": "user", "why": "you", "token": "a", "gave_gpu": True})
        assert prepared(run).state == "paused"
        events.write("resumed", {"who": "user", "why": "you", "token": "a", "seconds": 1.0})
        assert prepared(run).state == "running"


def test_a_killed_worker_is_lost_and_not_running(run, worker):
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    assert prepared(run).state == "lost"


def test_a_pid_that_another_program_has_now_is_not_the_worker(run):
    write_atomically(run.process_file, json.dumps({"pid": os.getpid(), "created": time.time() - 3600}))
    assert live_pid(run) is None
    assert prepared(run).state == "lost"


@pytest.mark.parametrize("ending, state", [("finished", "finished"), ("stopped", "stopped"), ("error", "failed")])
def test_the_last_word_of_the_worker_counts(run, worker, ending, state):
    with EventWriter(run.events_file) as events:
        events.write(ending, {"text": "x"})
    assert prepared(run).state == state


def test_a_worker_that_ends_during_a_check_is_not_taken_for_lost(run, worker, monkeypatch):
    def ends_now(folder, noted):
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        with EventWriter(run.events_file) as events:
            events.write("finished", {"steps": 1, "seconds": 1.0})
        return pid_of(folder, noted)

    index = RunIndex(run.path.parent)
    assert index.of(run).state == "running"
    monkeypatch.setattr(state_module, "pid_of", ends_now)
    assert index.of(run).state == "finished"


def test_a_worker_that_is_noted_during_a_check_is_not_taken_for_lost(run, monkeypatch):
    def noted_now(folder, noted):
        pid = pid_of(folder, noted)
        run.process_file.write_text(json.dumps({"pid": os.getpid(), "created": 1.0}))
        return pid

    monkeypatch.setattr(state_module, "pid_of", noted_now)
    assert prepared(run).state == "waiting"


def test_a_resumed_run_waits_until_its_new_worker_is_noted(run, worker):
    index = RunIndex(run.path.parent)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    assert index.of(run).state == prepared(run).state == "lost"
    with EventWriter(run.events_file) as events:
        events.write("queued", {"steps": 1, "total_steps": 2, "name": "penny"})
    assert index.of(run).state == prepared(run).state == "waiting"
    os.utime(run.process_file, (time.time() + 1, time.time() + 1))  # one was started since, and is gone
    assert index.of(run).state == prepared(run).state == "lost"


def test_a_second_worker_in_a_run_folder_is_reported_who_has_it_and_changes_nothing(run):
    run.job_file.write_text(job_to_yaml(job_from({
        "base": {"checkpoint": str(MINI)}, "dataset": {"train_data_dir": str(ROOT / "demo" / "pictures")},
        "save": {"output_name": "penny", "output_dir": str(run.path)}})))
    hold = (f"import sys; from pathlib import Path; from lib_lora_train.runs.folder import RunFolder\n"
            f"from lib_lora_train.runs.process import only_worker\n"
            f"with only_worker(RunFolder(Path({str(run.path)!r}))): print('there', flush=True); sys.stdin.read()")
    with subprocess.Popen([sys.executable, "-c", hold], cwd=ROOT, text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as first:
        assert first.stdout.readline() == "there\n"
        before = run.process_file.read_text()
        for command, file in ((train_command, run.job_file), (train_command, run.path / "." / run.job_file.name)):
            with pytest.raises(RunError, match=f"already being trained by process {first.pid}"):
                command([str(file)])
        with pytest.raises(RunError, match=f"process {first.pid}"), only_worker(run):
            pytest.fail("two workers in one folder")
        assert (run.process_file.read_text(), run.events_file.exists()) == (before, False)
        first.kill()
    with only_worker(run):
        assert live_pid(run) == os.getpid()


def test_a_damaged_note_of_a_live_worker_does_not_let_a_second_one_in(run):
    with only_worker(run):
        run.process_file.write_text("[]")
        assert live_pid(run) == os.getpid()
        with pytest.raises(RunError, match="already being trained"):
            start_worker(run, SLEEPER, os.environ)


@pytest.mark.parametrize("seconds", [-3.0, 3.0, 3600.0])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux derives the time of creation from the clock")
def test_a_clock_that_is_set_leaves_a_live_worker_alive(run, worker, monkeypatch, seconds):
    """psutil adds the time of boot, which moves with the clock, to the ticks since boot."""
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: time.time() - time.monotonic() + seconds)
    monkeypatch.setattr("psutil._pslinux.BOOT_TIME", time.time() + seconds, raising=False)
    assert live_pid(run) == worker
    assert prepared(run).state == "running"


def test_a_worker_from_before_the_machine_was_started_again_is_not_taken_for_alive(run):
    mark = mark_of(os.getpid())
    write_atomically(run.process_file, json.dumps({**mark.as_dict(), "boot": "another"}))
    assert live_pid(run) is None


def test_output_goes_to_the_log(run, worker):
    deadline = time.monotonic() + 240
    while "hello" not in run.log_tail() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "hello" in run.log_tail()


def test_runs_with_one_name_in_one_second_get_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda form: "20261129-120000")
    made = [create_run(tmp_path, "penny / x", "").id for _ in range(12)]
    assert len({*made}) == 12
    assert [run.id for run in all_runs(tmp_path)] == made[::-1]


def test_what_was_deleted_in_one_second_is_listed_newest_first(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda form: "20261129-120000")
    run = create_run(tmp_path, "penny", "")
    made = [move_to_trash(run, "penny", [], whole_run=False).id for _ in range(12)]
    assert [entry.id for entry in trash_entries(tmp_path)] == made[::-1]


def test_a_run_folder_that_cannot_be_filled_is_not_left_behind(tmp_path):
    def check(sentence: str | None, at: int) -> None:
        made = [] if sentence else [run.id for run in all_runs(tmp_path)]
        assert [path.name for path in tmp_path.iterdir()] == made, at

    def prepare() -> None:
        for run in all_runs(tmp_path):
            shutil.rmtree(run.path)

    refused = refused_in_turn(lambda: create_run(tmp_path, "penny", "base: {}\n", KNOWS), prepare, check)
    assert refused >= 4


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
