"""Fetching a tagger, with the real client against a hub on this machine."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import pytest

from lib_lora_train.config.load import job_to_yaml
from lib_lora_train.errors import TaggerError
from lib_lora_train.runs.events import read_events
from lib_lora_train.tagging.provenance import Provenance, check_and_note, read_provenance

from . import tag_worker
from .conftest import captions_of, make_colour_tagger, make_dataset, tag_job
from .fake_hub import COMMIT, FakeHub

NAME = "wd-vit-tagger-v3"
REPOSITORY = f"SmilingWolf/{NAME}"
SIZE = 3_000_000
HELD_AFTER = 2_500_000
WAIT_SECONDS = 300


@pytest.fixture
def hub(tmp_path: Path):
    model = make_colour_tagger(tmp_path / "source")
    # A field that every reader passes over makes it as long as a download that can break off.
    padding = b"\x32" + bytes([0x80 | SIZE & 0x7F, 0x80 | SIZE >> 7 & 0x7F, 0x80 | SIZE >> 14 & 0x7F, SIZE >> 21])
    served = FakeHub({f"{REPOSITORY}/model.onnx": model.read_bytes() + padding + b"x" * SIZE,
                      f"{REPOSITORY}/selected_tags.csv": (model.parent / "selected_tags.csv").read_bytes()})
    yield served
    served.close()


class Run:
    """A run folder, and its worker as the tab starts it: offline, unless the job says otherwise."""

    def __init__(self, tmp_path: Path, endpoint: str, download: bool = True, number: int = 1) -> None:
        self.folder = tmp_path / "set"
        if not self.folder.exists():
            make_dataset(self.folder, {"red_1": None})
        self.models = tmp_path / "taggers"
        self.path = tmp_path / "runs" / f"20260101-00000{number}-tags"
        (self.path / "control").mkdir(parents=True)
        job = tag_job(self.folder, NAME, tagger__models_dir=str(self.models), tagger__download=download)
        (self.path / "job.yaml").write_text(job_to_yaml(job))
        self.worker = tag_worker.start(self.path / "job.yaml", {
            "HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HOME": str(tmp_path / "home"),
            # the hub is a thread of this process, which may wait long for a core
            "HF_HUB_DOWNLOAD_TIMEOUT": str(WAIT_SECONDS), "HF_HUB_ETAG_TIMEOUT": str(WAIT_SECONDS)})

    @property
    def events(self) -> list[dict]:
        return read_events(self.path / "events.jsonl")[0]

    def wait_for_progress(self) -> None:
        """Wait until it has reported a part of a file."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not any(event["event"] == "progress" and 0 < event["done"] < event["total"] for event in self.events):
            assert time.monotonic() < deadline and self.worker.is_alive(), self.events
            time.sleep(0.05)

    def end(self) -> dict:
        self.worker.join(WAIT_SECONDS)
        return self.events[-1]


def test_nothing_is_asked_for_without_an_explicit_yes(tmp_path: Path, hub: FakeHub):
    last = Run(tmp_path, hub.url, download=False).end()
    assert last["event"] == "error"
    assert "tagger.download=true" in last["text"]
    assert hub.requests == []


def test_a_tagger_is_fetched_with_progress_and_used_at_once_and_never_again(tmp_path: Path, hub: FakeHub):
    hub.hold_after = HELD_AFTER
    run = Run(tmp_path, hub.url)
    run.wait_for_progress()
    hub.released.set()
    assert run.end()["event"] == "finished"
    assert captions_of(run.folder) == {"red_1": "penny (series), red thing, ^_^"}
    assert (run.models / NAME / "model.onnx").read_bytes() == hub.files[f"{REPOSITORY}/model.onnx"]
    phases = [event["text"] for event in run.events if event["event"] == "phase"]
    assert f"Downloading model.onnx of {REPOSITORY} (3 MB)" in phases
    start = phases.index(f"Downloading model.onnx of {REPOSITORY} (3 MB)")
    seen, phase = [], -1
    for event in run.events:
        phase += event["event"] == "phase"
        if event["event"] == "progress" and phase == start:
            seen.append(event["done"])
    assert seen == sorted(seen)
    assert len([done for done in seen if 0 < done < SIZE]) >= 1
    assert seen[-1] == len(hub.files[f"{REPOSITORY}/model.onnx"])
    asked = len(hub.requests)
    assert Run(tmp_path, hub.url, number=2).end()["event"] == "finished"
    assert len(hub.requests) == asked


def test_a_download_that_was_interrupted_resumes_where_it_was(tmp_path: Path, hub: FakeHub):
    hub.cut_after = 2_500_000
    run = Run(tmp_path, hub.url)
    last = run.end()
    assert last["event"] == "error"
    assert "The part that was downloaded is kept" in last["text"]
    assert str(run.models / NAME) in last["text"]
    assert not (run.models / NAME / "model.onnx").exists()
    hub.cut_after = None
    hub.requests.clear()
    assert Run(tmp_path, hub.url, number=2).end()["event"] == "finished"
    started = [first for method, path, first in hub.requests if method == "GET" and path.endswith("model.onnx")]
    assert started == [started[0]]
    assert started[0] >= 1_000_000


def test_without_a_network_the_sentence_says_where_the_files_belong(tmp_path: Path):
    began = time.monotonic()
    run = Run(tmp_path, "http://127.0.0.1:9")
    last = run.end()
    assert last["event"] == "error"
    assert "could not be reached" in last["text"]
    assert f"model.onnx and selected_tags.csv from huggingface.co/{REPOSITORY}" in last["text"]
    assert str(run.models / NAME) in last["text"]
    assert time.monotonic() - began < 240


def test_a_stop_need_not_wait_for_the_network(tmp_path: Path, hub: FakeHub):
    hub.hold_after = HELD_AFTER
    run = Run(tmp_path, hub.url)
    run.wait_for_progress()
    (run.path / "control" / "stop").touch()
    assert run.end()["event"] == "stopped"
    assert captions_of(run.folder) == {"red_1": None}
    [begun] = (run.models / NAME).rglob("*.incomplete")
    assert 0 < begun.stat().st_size < SIZE


def test_a_first_download_says_that_there_was_nothing_to_compare_it_with_and_a_later_one_does_not(tmp_path: Path,
                                                                                                 hub: FakeHub):
    run = Run(tmp_path, hub.url)
    run.end()
    [said] = [event["text"] for event in run.events if event["event"] == "warning"]
    kept = str(tmp_path / "taggers" / NAME / "download.json")
    for words in (NAME, REPOSITORY, COMMIT[:12], "trusted as downloaded", kept):
        assert words in said
    (tmp_path / "taggers" / NAME / "model.onnx").unlink()
    again = Run(tmp_path, hub.url, number=2)
    assert again.end()["event"] == "finished"
    assert not [event for event in again.events if event["event"] == "warning"]


def test_what_came_first_is_kept_even_where_the_hub_names_no_revision(tmp_path: Path):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"first")
    noted = check_and_note(Provenance("a/b"), tmp_path, file, "model.onnx", None, None)
    assert read_provenance(tmp_path, "a/b") == noted and noted.revision is None
    file.write_bytes(b"second")
    with pytest.raises(TaggerError, match="is not the file that was expected"):
        check_and_note(read_provenance(tmp_path, "a/b"), tmp_path, file, "model.onnx", None, None)
    assert not file.exists()


def test_both_files_are_of_one_revision_and_their_hashes_are_noted(tmp_path: Path, hub: FakeHub):
    Run(tmp_path, hub.url).end()
    noted = json.loads((tmp_path / "taggers" / NAME / "download.json").read_text())
    assert noted["revision"] == COMMIT and noted["repository"] == REPOSITORY
    assert noted["sha256"] == {file: hashlib.sha256(hub.files[f"{REPOSITORY}/{file}"]).hexdigest()
                               for file in ("model.onnx", "selected_tags.csv")}
    assert all(f"/resolve/{COMMIT}/" in path for method, path, _ in hub.requests if method == "GET")


@pytest.mark.parametrize("file", ["model.onnx", "selected_tags.csv"])
def test_a_later_file_that_differs_is_refused_with_both_hashes_and_a_way_out(tmp_path: Path, hub: FakeHub, file: str):
    Run(tmp_path, hub.url).end()
    fetched = tmp_path / "taggers" / NAME / file
    before = hashlib.sha256(fetched.read_bytes()).hexdigest()
    fetched.unlink()
    hub.files[f"{REPOSITORY}/{file}"] += b" "
    after = hashlib.sha256(hub.files[f"{REPOSITORY}/{file}"]).hexdigest()
    end = Run(tmp_path, hub.url, number=2).end()
    assert end["event"] == "error"
    for words in (str(fetched), before, after, "download.json"):
        assert words in end["text"], end
    assert not fetched.exists()


def test_a_file_that_is_not_what_the_hub_announced_is_refused(tmp_path: Path, hub: FakeHub):
    hub.announced = "ab" * 32
    end = Run(tmp_path, hub.url).end()
    assert end["event"] == "error" and "ab" * 32 in end["text"], end
    assert not (tmp_path / "taggers" / NAME / "selected_tags.csv").exists()


@pytest.mark.parametrize("note", ["[]", "{", '{"revision": 3}', "[" * 100_000, '{"a": "' + "x" * 200_000 + '"}'])
def test_a_damaged_note_is_named(tmp_path: Path, note: str):
    (tmp_path / "download.json").write_text(note)
    with pytest.raises(TaggerError, match=r"download\.json.* is damaged"):
        read_provenance(tmp_path, REPOSITORY)
