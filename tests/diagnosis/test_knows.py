"""A check on the mini checkpoint, which knows buses and has never seen a heart, with the mini tagger."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lib_lora_train.cli.knows import knows_command
from lib_lora_train.config.groups.knows import KnowsJob
from lib_lora_train.config.load import job_to_yaml, read_settings
from lib_lora_train.runs.diagnosis.knows import read_result
from lib_lora_train.runs.events import read_events
from lib_lora_train.runs.folder import KNOWS, RunFolder, create_run

DEMO = Path(__file__).resolve().parents[2] / "demo"
TAGGER = DEMO / "tagger" / "model.onnx"
LARGE = {"resolution": "128"}
"""For images that have to show what they are meant to; the others are drawn at 64 pixels."""


def job_of(images: Path, **groups):
    values = {"base": {"checkpoint": str(DEMO / "mini_sd15.safetensors"), "max_token_length": 75},
              "dataset": {"train_data_dir": str(images), "resolution": "64", "train_batch_size": 6,
                          **groups.get("dataset", {})},
              "training": {"device": "cpu", "mixed_precision": "no"},
              "tagger": {"model": str(TAGGER), "provider": "cpu", **groups.get("tagger", {})},
              "knows": {"images_per_word": 1, "sample_steps": 8, "cfg_scale": 6, **groups.get("knows", {})}}
    job, problems = read_settings(KnowsJob, values, source="test")
    assert problems == []
    return job


def check(runs: Path, job: KnowsJob) -> RunFolder:
    run = create_run(runs, "knows", job_to_yaml(job), KNOWS)
    assert knows_command([str(run.job_file)]) == 0, run.log_tail() or read_events(run.events_file)[0][-1]
    assert read_events(run.events_file)[0][-1]["event"] == "finished"
    return run


def some_hearts(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for path in sorted((DEMO / "pictures").glob("*_heart.*"))[:2 * count]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def buses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images that the mini checkpoint draws of a bus, on other noise than the check."""
    folder = tmp_path_factory.mktemp("drawn")
    job = job_of(some_hearts(folder / "hearts", 1), dataset=LARGE, tagger={"model": ""}, knows={
        "candidates": ["bus"], "traits": ["bus"], "seed": 1000, "images_per_word": 4})
    run = create_run(folder / "runs", "knows", job_to_yaml(job), KNOWS)
    (run.path / "pictures").mkdir()
    for number in range(1, 5):  # those without a word are there already: nobody looks at them here
        shutil.copy(DEMO / "pictures" / "red_heart.webp", run.path / "pictures" / f"00-{number}.png")
    assert knows_command([str(run.job_file)]) == 0
    images = folder / "buses"
    images.mkdir()
    for number, path in enumerate(sorted((run.path / "pictures").glob("01-*.png"))):
        shutil.copy(path, images / f"{number}.png")
        (images / f"{number}.txt").write_text("bus, vehicle" if number % 2 else "bus, vehicle, yellow")
    return images


def test_a_word_it_was_trained_on_is_known_and_others_are_not(buses, tmp_path):
    run = check(tmp_path, job_of(buses, dataset={**LARGE, "activation_tag": "emoheart"},
                                 knows={"candidates": ["bus", "cat face"], "traits": ["vehicle"]}))
    result = read_result(run)
    found = {word["word"]: word for word in result["words"]}
    assert [(word["kind"], word["word"]) for word in result["words"]] == [
        ("trigger", "emoheart"), ("candidate", "bus"), ("candidate", "cat face"), ("trait", "vehicle")]
    assert found["bus"]["level"] == "known" and found["bus"]["gain"]["share"] > 0
    assert not found["bus"]["means_something_else"]
    assert found["cat face"]["level"] == "unknown" and found["cat face"]["means_something_else"]
    assert found["cat face"]["others"]
    assert found["emoheart"]["level"] == "unknown"
    advice = result["advice"]
    assert (advice["word"], advice["images_seen"]) == ("bus", 300)
    assert advice["settings"]["dataset.activation_tag"] == "bus"
    assert any(sentence.startswith("Avoid cat face") for sentence in advice["sentences"])


def test_what_it_has_never_seen_is_unknown_and_the_odd_image_surprises_most(buses, tmp_path):
    hearts = tmp_path / "hearts"
    shutil.copytree(buses, hearts)
    shutil.copy(DEMO / "pictures" / "red_heart.webp", hearts / "odd.webp")
    (hearts / "odd.txt").write_text("bus, vehicle")
    run = check(tmp_path / "runs", job_of(hearts, knows={"images_per_word": 0, "traits": ["heart"]},
                                          tagger={"model": ""}))
    result = read_result(run)
    assert result["images"][0]["path"] == "odd.webp"
    assert result["images"][0]["surprise"] > 1.2
    assert [image["surprise"] for image in result["images"]] == sorted(
        (image["surprise"] for image in result["images"]), reverse=True)
    assert result["tagger"] == "" and result["alone"] == [] and result["words"][0]["pictures"] == []
    unseen = check(tmp_path / "runs", job_of(some_hearts(tmp_path / "many", 6), dataset={"activation_tag": "emoheart"},
                                             knows={"traits": ["love"], "sample_steps": 2}))
    result = read_result(unseen)
    assert {word["word"]: word["level"] for word in result["words"]} == {"emoheart": "unknown", "love": "unknown"}
    assert result["advice"]["images_seen"] == 1500
    assert json.loads(unseen.result_file.read_text())["captions"] == result["captions"]


def test_images_that_the_webui_has_drawn_are_kept_and_a_missing_tagger_is_reported(buses, tmp_path):
    job = job_of(buses, knows={"traits": ["bus"], "sample_steps": 2, "loss_images": 3},
                 tagger={"model": "wd-unknown"})
    run = create_run(tmp_path, "knows", job_to_yaml(job), KNOWS)
    kept = run.path / "pictures" / "00-1.png"
    kept.parent.mkdir()
    shutil.copy(DEMO / "pictures" / "red_heart.webp", kept)
    before = kept.read_bytes()
    assert knows_command([str(run.job_file)]) == 0
    assert kept.read_bytes() == before and (run.path / "pictures" / "01-1.png").is_file()
    warnings = [event["text"] for event in read_events(run.events_file)[0] if event["event"] == "warning"]
    assert any("tagger" in text for text in warnings), warnings
    assert read_result(run)["words"][0]["score"] is None


@pytest.mark.parametrize("damage", ["tagger", "image"])
def test_a_tagger_that_fails_or_a_damaged_image_loses_nothing_else(damage, buses, tmp_path):
    tagger, images = shutil.copytree(TAGGER.parent, tmp_path / "tagger"), shutil.copytree(buses, tmp_path / "buses")
    if damage == "tagger":
        (tagger / "model.onnx").write_bytes(b"cut short")
    else:
        (images / "0.png").write_bytes((images / "0.png").read_bytes()[:200])
    job = job_of(images, knows={"traits": ["bus"], "sample_steps": 2},
                 tagger={"model": str(tagger / "model.onnx")})
    result = read_result(check(tmp_path / "runs", job))
    [missing] = result["missing"]
    assert ("model.onnx" if damage == "tagger" else "0.png is not measured") in missing
    assert len(result["images"]) == (4 if damage == "tagger" else 3) and result["words"][0]["gain"]
    assert bool(result["tagger"]) == (damage == "image")


def test_the_command_line_takes_the_job_of_a_training(buses, tmp_path, capsys):
    job = tmp_path / "job.yaml"
    job.write_text(f"base: {{checkpoint: {DEMO / 'mini_sd15.safetensors'}}}\nnetwork: {{network_dim: 8}}\n"
                   f"dataset: {{train_data_dir: {buses}, resolution: '64'}}\ntraining: {{device: cpu}}\n")
    arguments = [str(job), "--runs", str(tmp_path / "runs"), "knows.images_per_word=0", "knows.loss_images=3"]
    assert knows_command(arguments) == 0
    run = RunFolder(next((tmp_path / "runs").iterdir()))
    assert run.command == KNOWS and [word["word"] for word in read_result(run)["words"]] == ["bus", "vehicle", "yellow"]
