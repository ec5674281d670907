"""A disk that refuses: the sentence names the file and the way out, and what was there before is still there."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from lib_lora_train.captions.doubtful import keep
from lib_lora_train.errors import WriteError
from lib_lora_train.files.atomic import write_atomically
from lib_lora_train.pictures.thumbnails import thumbnail
from lib_lora_train.runs.continuing import keep_changes
from lib_lora_train.runs.events import EventWriter, read_events
from lib_lora_train.runs.folder import RunFolder, create_run
from lib_lora_train.runs.hold import WEBUI, HoldRequests, Reason
from lib_lora_train.runs.process import remember_process
from lib_lora_train.runs.queue import enqueue
from lib_lora_train.tagging.choose import Chosen
from lib_lora_train.tagging.confidences import keep_confidences
from lib_lora_train.tagging.results import Result, ResultFile
from lib_lora_train.ui.pictures import keep_picture
from lib_lora_train.ui.runs.prompts import keep_prompts
from tests.crashes import refused_in_turn

CODES = {errno.ENOSPC: "Free some space", errno.EDQUOT: "Delete files", errno.EROFS: "another disk",
         errno.EACCES: "writable for you", errno.EIO: "Check the disk"}


def draw_thumbnail(folder: Path) -> None:
    with (folder / "a.png").open("rb") as file:
        thumbnail(folder / "a.png", file, 128, folder / "thumbnails")


def log_events(folder: Path) -> None:
    with EventWriter(folder / "run" / "events.jsonl") as events:
        events.write("paused")


def log_results(folder: Path) -> None:
    with ResultFile(folder / "run" / "tags.jsonl", folder) as results:
        results.add([Result("a.png", "a.txt", None, Chosen(("hat",), {"hat": 0.5}))])


def run_in(folder: Path) -> RunFolder:
    return RunFolder(folder / "run")


WRITERS: dict[str, Callable[[Path], object]] = {
    "caption": lambda folder: write_atomically(folder / "a.txt", "new"),
    "doubts": lambda folder: keep(folder, ["new"]),
    "confidences": lambda folder: keep_confidences(folder, {"a.png": {"hat": 0.5}}),
    "thumbnail": draw_thumbnail, "events": log_events, "results": log_results,
    "run": lambda folder: create_run(folder / "runs", "penny", "a: 1\n"),
    "control": lambda folder: run_in(folder).control.request("pause"),
    "hold": lambda folder: HoldRequests(folder / "run" / "control").ask(Reason(WEBUI, "an image"), gives_gpu=True),
    "process": lambda folder: remember_process(run_in(folder)),
    "queue": lambda folder: enqueue(run_in(folder), "cpu"),
    "prompts": lambda folder: keep_prompts(run_in(folder), "new"),
    "changes": lambda folder: keep_changes(run_in(folder), {"a": {"b": 1}}),
    "picture": lambda folder: keep_picture(folder / "run" / "strip" / "a.png", Image.new("RGB", (8, 8))),
}


def filled(folder: Path) -> Path:
    """A folder with an old state of everything that ``WRITERS`` writes."""
    folder.mkdir()
    Image.new("RGB", (32, 32)).save(folder / "a.png")
    (folder / "run" / "control").mkdir(parents=True)
    for name in ("a.txt", "run/test_prompts.txt", "run/changes.yaml", "run/process.json"):
        (folder / name).write_text("old")
    (folder / "run" / "events.jsonl").write_text('{"time": 1, "event": "resumed"}\n')
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", WRITERS)
def test_each_refused_write_ends_in_a_sentence_and_loses_nothing(tmp_path: Path, name: str, code: int):
    folder, before = tmp_path / "set", {}

    def prepare() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        before.clear()
        before.update(contents(filled(folder)))

    def check(sentence: str | None, at: int) -> None:
        if sentence is not None:
            assert str(folder) in sentence, (at, sentence)
            assert any(hint in sentence for hint in (CODES[code], "writable", "Free some space")), (at, sentence)
            after = contents(folder)
            assert {key: after.get(key) for key in before} == before, at
            assert not [key for key in after if key.endswith(".tmp")], at

    refused = refused_in_turn(lambda: WRITERS[name](folder), prepare, check, [code])
    assert refused, f"{name} never wrote"


@pytest.mark.parametrize("code", CODES)
def test_a_disk_that_is_full_only_when_it_is_flushed_leaves_the_old_file(tmp_path: Path, code: int, monkeypatch):
    file = tmp_path / "a.txt"
    file.write_text("old")

    def refuse(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(WriteError, match=r"a\.txt") as caught:
        write_atomically(file, "new")
    assert CODES[code] in str(caught.value)
    assert caught.value.errno == code
    assert contents(tmp_path) == {"a.txt": b"old"}
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_full_disk_is_reported_with_what_is_needed_and_what_is_free(tmp_path: Path, monkeypatch):
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 300_000))
    with pytest.raises(WriteError, match=r"a\.bin could not be written, which needs 2\.0 MB where 0\.3 MB"):
        write_atomically(tmp_path / "a.bin", bytes(2_000_000))
    with pytest.raises(WriteError, match=r"a\.bin could not be written\. Free"):  # such as a disk with no inode left
        write_atomically(tmp_path / "a.bin", bytes(2_000))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_an_event_that_did_not_fit_is_written_with_the_next(tmp_path: Path):
    events = EventWriter(tmp_path / "events.jsonl")
    events.write("paused")
    kept, full = os.dup(events._file.fileno()), os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, events._file.fileno())
    with pytest.raises(WriteError, match=r"The disk is full: .*events\.jsonl .* Free some space"):
        events.write("resumed")
    os.dup2(kept, events._file.fileno())
    events.write("paused")
    events.close()
    assert [event["event"] for event in read_events(tmp_path / "events.jsonl")[0]] == ["paused", "resumed", "paused"]


@pytest.mark.parametrize("name", ["x" * 255, "猫" * 85, "é" * 127 + "x", "😀" * 63])
def test_a_name_as_long_as_the_disk_allows_can_be_written(tmp_path: Path, name: str):
    write_atomically(tmp_path / name, "new")
    assert contents(tmp_path) == {name: b"new"}


@pytest.mark.parametrize("name", ["x" * 256, "猫" * 86, "😀" * 64])
def test_a_longer_name_is_refused_with_its_length(tmp_path: Path, name: str):
    with pytest.raises(WriteError, match=f"too long.*{len(name.encode())} bytes.*shorter"):
        write_atomically(tmp_path / name, "new")
    assert contents(tmp_path) == {}
