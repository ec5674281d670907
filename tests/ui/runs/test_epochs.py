"""The routes behind "Which epoch": old runs, runs that held images out, measuring, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_lora_train.host.interface import PictureSettings
from lib_lora_train.runs.diagnosis.epochs import EPOCHS_FILE, write_measures
from lib_lora_train.runs.diagnosis.generated import STRIP_IMAGES_FILE
from lib_lora_train.runs.events import EventWriter, read_events
from lib_lora_train.runs.folder import RunFolder, open_run
from lib_lora_train.ui.runs.strip_store import Strip, picture_path, write_strip
from tests.runs.diagnosis.test_epochs import OVERFIT_RUN


@pytest.fixture
def run(tab, finished_run) -> RunFolder:
    return open_run(tab.services.runs_dir, finished_run(tab))


def add(run: RunFolder, kind: str, **fields) -> None:
    with EventWriter(run.events_file) as events:
        events.write(kind, fields)


def test_an_old_run_says_why_nothing_is_proposed(tab, run):
    answer = tab.get(f"runs/{run.id}/epochs").json()
    assert (answer["source"], answer["path"], answer["points"]) == ("", "", [])
    assert "held out no images" in answer["reason"] and answer["measuring"] is None


def test_a_run_that_held_images_out_has_a_proposal_without_measuring(tab, run):
    saved = [event for event in read_events(run.events_file)[0] if event["event"] == "saved"]
    for event, mean in zip([{"step": 0}, *saved], (0.2, 0.11, 0.10, 0.13), strict=True):
        add(run, "validation", step=event["step"], epoch=0, loss=mean,
            each=[mean + 0.01 * image + 1e-5 * (image % 3) for image in range(6)])
    answer = tab.get(f"runs/{run.id}/epochs").json()
    assert answer["source"] == "run" and answer["path"] == saved[1]["path"] and answer["strength"] is None
    assert [point["label"] for point in answer["points"]] == ["no LoRA", "epoch 1", "epoch 2", "epoch 3"]
    assert [sign["kind"] for sign in answer["signs"]] == ["overfit"]
    assert answer["remedies"][0]["file"] == saved[1]["path"]


def test_an_earlier_versions_mean_is_not_enough(tab, run):
    add(run, "validation", step=0, epoch=0, loss=0.2)
    assert "earlier version" in tab.get(f"runs/{run.id}/epochs").json()["reason"]


def test_measurements_are_shown_and_damaged_ones_reported(tab, run):
    write_measures(run.path, OVERFIT_RUN)
    answer = tab.get(f"runs/{run.id}/epochs").json()
    assert (answer["source"], answer["label"], len(answer["points"]), answer["missing"]) == ("files", "epoch 3", 7, 3)
    assert len(answer["signs"]) == 4 and {remedy["title"] for remedy in answer["remedies"]} >= {"Stop after 3 epochs"}
    for damage in ("{", json.dumps({"version": 1, "source": "x", "files": [3]}), "[" * 200):
        (run.path / EPOCHS_FILE).write_text(damage)
        broken = tab.get(f"runs/{run.id}/epochs")
        assert broken.status_code == 200 and "cannot be read" in broken.json()["problem"]


def test_measuring_is_queued_once_and_only_for_what_can_be_measured(tab, run):
    missing = tab.post(f"runs/{run.id}/epochs", {"validation_data_dir": "/nowhere/at/all"})
    assert missing.status_code == 400 and "no folder /nowhere" in missing.json()["error"]
    assert tab.get("runs/x/epochs").status_code == 400
    tab.services.supervisor.close()
    tab.services.supervisor.join(60)
    last = [event for event in read_events(run.events_file)[0] if event["event"] == "saved"][-1]
    strip = Strip(False, ("penny, hat <lora:penny:0.8> --n bad",), PictureSettings(64, 64, 4, 7.0, 1, 1), "x")
    write_strip(run, strip)
    for file in (None, Path(last["path"])):
        path = picture_path(run, strip, file, 0)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"image")
    started = tab.post(f"runs/{run.id}/epochs", {"validation_data_dir": str(tab.dataset)})
    assert started.status_code == 200, started.text
    made = open_run(tab.services.runs_dir, started.json()["id"])
    features = tab.get(f"runs/{run.id}/epochs").json()["features_dir"]
    assert Path(features).name == "features" and f"features_dir: {features}" in made.job_file.read_text()
    listed = json.loads((run.path / STRIP_IMAGES_FILE).read_text())["images"]
    assert [(Path(one["path"]).name, one["step"], one["prompt"]) for one in listed] == [
        ("_00.png", 0, "penny, hat"), (f"{Path(last['path']).stem}_00.png", last["step"], "penny, hat")]
    assert made.command == "diagnose" and str(tab.dataset) in made.job_file.read_text()
    assert tab.get(f"runs/{run.id}/epochs").json()["measuring"]["open"]
    again = tab.post(f"runs/{run.id}/epochs", {})
    assert again.status_code == 400 and "already" in again.json()["error"]
    assert tab.get(f"runs/{made.id}/epochs").status_code == 400  # it is no training
    add(made, "error", text="The disk is full.", detail="")
    (made.path / "process.json").unlink(missing_ok=True)
    answer = tab.get(f"runs/{run.id}/epochs").json()["measuring"]
    assert not answer["open"] and answer["text"] == "The disk is full."


def test_without_files_there_is_nothing_to_measure(tab, run):
    for event in read_events(run.events_file)[0]:
        if event["event"] == "saved":
            (tab.data / "models" / "Lora" / f"{event['name']}.safetensors").unlink()
    refused = tab.post(f"runs/{run.id}/epochs", {})
    assert refused.status_code == 400 and "nothing to measure" in refused.json()["error"]
