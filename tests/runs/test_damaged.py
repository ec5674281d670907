"""One damaged run folder does not hide the others, and says what is wrong with it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lib_lora_train.config.job import Job
from lib_lora_train.config.load import job_to_yaml
from lib_lora_train.files import json_file
from lib_lora_train.runs.events import EventWriter
from lib_lora_train.runs.folder import RunFolder, create_run
from lib_lora_train.runs.hold import HoldRequests
from lib_lora_train.runs.lend_ticket import read_ticket
from lib_lora_train.runs.process import live_pid
from lib_lora_train.runs.queue import CLAIMED_FILE, QUEUED_FILE, requeue_abandoned, waiting_runs
from lib_lora_train.runs.summary import RunIndex

GOOD_STEP = {"step": 3, "total_steps": 9, "epoch": 1, "loss": 0.5}
DEEP = "[" * 100_000

DAMAGE = {
    "process.json": ["[]", "null", "7", '{"pid": "x", "created": 1}', '{"pid": 1e999, "created": 1}', "{", DEEP,
                     "\ud800", '{"pid": 99999999999999999999, "created": 0}', '{"pid": true, "created": NaN}'],
    QUEUED_FILE: ["null", "[]", '"cpu"', '{"device": 3, "asked": 1}', '{"asked": "soon", "device": "cpu"}', DEEP],
    CLAIMED_FILE: ["null", "[1]", "{{"],
    "events.jsonl": ['{"event": "step", "time": 1, "loss": 1}\n', '{"event": "step", "time": 1, "step": "3", '
                     '"total_steps": 1}\n', '{"event": "saved", "time": 2}\n', '{"event": 3, "time": 2}\n',
                     '{"event": "step", "time": 1, "step": NaN, "total_steps": 3}\n', '{"event": "error", "time": 1}\n',
                     '{"event": "queued", "time": "now", "name": "x"}\n', '{"time": 1}\n'],
    "job.yaml": ["", "[]", "base: {checkpo", "base: 3\n", "\x00\x01", "a: &a [*a]\n",
                 "base: !!python/object:os.system {}\n"],
}
CASES = [(name, content) for name, contents in DAMAGE.items() for content in contents]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with a finished run and one that waits, as good as new."""
    for name, ending in (("good", "finished"), ("stopped", "stopped")):
        run = create_run(tmp_path, name, job_to_yaml(Job()))
        with EventWriter(run.events_file) as events:
            events.write("step", GOOD_STEP)
            events.write(ending, {"steps": 3, "seconds": 1.0})
    return tmp_path


def damaged(runs: Path, name: str, content: str) -> RunFolder:
    run = create_run(runs, "zz-damaged", job_to_yaml(Job()))
    with EventWriter(run.events_file) as events:
        events.write("step", GOOD_STEP)
    with (run.path / name).open("ab" if name == "events.jsonl" else "wb") as file:
        file.write(content.encode("utf-8", "surrogatepass"))
    return run


@pytest.mark.parametrize(("name", "content"), CASES, ids=[f"{CASES[k][0]}-{k}" for k in range(len(CASES))])
def test_a_damaged_file_is_named_and_the_other_runs_are_as_they_were(runs, name, content):
    before = [(run.name, run.state, run.damage) for run in RunIndex(runs).all()]
    run = damaged(runs, name, content)
    seen = {summary.id: summary for summary in RunIndex(runs).all()}
    summary = seen.pop(run.id)
    assert summary.state == "damaged" and name in summary.damage and str(run.path) in summary.damage
    assert [(other.name, other.state, other.damage) for other in seen.values()] == before
    assert [waiting.id for waiting in waiting_runs(runs)] in ([], [run.id])
    requeue_abandoned(runs)
    json.dumps(summary.__dict__, allow_nan=False)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda file: file.symlink_to(file.name)],
                         ids=["folder", "pipe", "link to itself"])
@pytest.mark.parametrize("name", ["process.json", QUEUED_FILE, CLAIMED_FILE, "events.jsonl", "command", "log.txt",
                                  "control/hold-a.json", "lend.json", "worker.lock"])
def test_what_is_no_file_is_named_and_nothing_waits_for_it(runs, name, make):
    """Opening a pipe would wait for ever for somebody to write into it."""
    run = create_run(runs, "zz-damaged", job_to_yaml(Job()))
    make(run.path / name)
    seen = {summary.id: summary for summary in RunIndex(runs).all()}
    assert len(seen) == 3
    if name in ("process.json", QUEUED_FILE, CLAIMED_FILE, "events.jsonl"):
        assert seen[run.id].state == "damaged" and name in seen[run.id].damage
    assert list(waiting_runs(runs)) == []
    assert (run.command, run.log_tail()) == ("train", "")
    assert HoldRequests(run.path / "control").asked() == [] and read_ticket(run.path) is None
    assert live_pid(run) is None


def test_each_small_file_is_read_once_for_a_summary(runs, monkeypatch):
    read: list[str] = []
    original = json_file.read_file
    monkeypatch.setattr(json_file, "read_file", lambda path, most: read.append(path.name) or original(path, most))
    run = create_run(runs, "mine", job_to_yaml(Job()))
    for name in ("process.json", QUEUED_FILE, CLAIMED_FILE):
        (run.path / name).write_text("null")
    RunIndex(runs).of(run)
    assert sorted(read) == [CLAIMED_FILE, "group.json", "note.json", "process.json", QUEUED_FILE]


def test_a_run_whose_worker_lives_continues_though_a_line_is_damaged(runs):
    from lib_lora_train.runs.process import remember_process

    run = damaged(runs, "events.jsonl", '{"event": "step", "time": 1}\n')
    remember_process(run)
    summary = RunIndex(runs).of(run)
    assert (summary.state, summary.step) == ("running", 3)
    assert "events.jsonl" in summary.damage


def test_a_repaired_file_is_read_again(runs):
    run = damaged(runs, "job.yaml", "base: {checkpo")
    index = RunIndex(runs)
    assert index.of(run).state == "damaged"
    run.job_file.write_text(job_to_yaml(Job()))
    assert (index.of(run).state, index.of(run).damage) == ("waiting", "")


def test_a_line_that_a_crash_cut_short_is_no_damage(runs):
    run = damaged(runs, "events.jsonl", '{"event": "step", "ti\n')
    assert RunIndex(runs).of(run).damage == ""
