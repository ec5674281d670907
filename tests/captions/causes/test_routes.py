"""The routes of "What is wrong here?": a sample comes in, is named by a tagging run, and its images are listed."""

from __future__ import annotations

import base64
import io
import json
import os
import time

import pytest
from PIL import Image

from lib_lora_train.captions.causes.samples import MOST_KEPT
from lib_lora_train.config.tag_job import load_tag_job
from lib_lora_train.runs.folder import open_run
from tests.ui.captions.test_tagging import put_tagger
from tests.ui.conftest import wait_until

SIZE = (96, 128)


def sent(picture: Image.Image) -> str:
    content = io.BytesIO()
    picture.save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


@pytest.fixture
def sample(dataset) -> str:
    return dataset.get("causes/sample", image=sent(Image.new("RGB", SIZE, (200, 30, 30))))["sample"]


def near(dataset, sample: str, **more) -> dict:
    dataset.get("causes/nearest", sample=sample, begin=True, **more)
    return wait_until(lambda: (found := dataset.get("causes/nearest", sample=sample))["state"] != "running" and found)


def test_the_image_it_comes_from_is_nearest_and_called_a_copy(dataset):
    with Image.open(dataset.folder / "b.png") as picture:
        sample = dataset.get("causes/sample", image=sent(picture.convert("RGB").resize((128, 128))))["sample"]
    found = near(dataset, sample)
    first = found["nearest"][0]
    assert (found["state"], first["cell"]["path"], first["kind"]) == ("ready", "b.png", "copy")
    assert sum(one["kind"] == "copy" for one in found["nearest"]) == 1


def test_a_mark_is_tagged_with_the_whole_image_and_nothing_of_the_set_is_touched(dataset, sample):
    put_tagger(dataset.tab, "mini")
    before = {path.name: path.read_bytes() for path in dataset.folder.rglob("*.txt")}
    dataset.tab.services.supervisor.close()  # what is queued stays there to be looked at
    dataset.tab.services.supervisor.join(60)
    run = dataset.get("causes/name", sample=sample, frame=[90, 120, 96, 128], model="mini")["run"]
    job = load_tag_job(open_run(dataset.tab.services.runs_dir, run).job_file)
    folder = dataset.tab.services.runs_dir.parent / "causes" / sample
    assert (job.dataset.train_data_dir, job.write.mode) == (str(folder), "confidences-only")
    assert job.dataset.images == ["whole.png", "part-90-120-96-128.png"]
    with Image.open(folder / "part-90-120-96-128.png") as part:
        assert part.size == (16, 16)  # a mark at the edge is widened into the image
    (folder / ".lora_train").mkdir()
    (folder / ".lora_train" / "confidences.json").write_text(json.dumps(
        {"whole.png": {"penny": 0.875, "hat": 0.25}, "part-90-120-96-128.png": {"hat": 0.75}}))
    named = dataset.get("causes/named", sample=sample, frame=[90, 120, 96, 128], prompt="(penny:1.2) <lora:hat:1>")
    assert named == {"tagged": True, "tags": [{"tag": "hat", "marked": 0.75, "whole": 0.25, "prompted": False,
                                               "captions": 2, "untagged": 0}]}
    whole = dataset.get("causes/named", sample=sample, prompt="(penny:1.2) <lora:hat:1>")["tags"]
    assert [(one["tag"], one["marked"], one["prompted"]) for one in whole] == [
        ("hat", None, False), ("penny", None, True)]
    assert {path.name: path.read_bytes() for path in dataset.folder.rglob("*.txt")} == before


def test_images_without_confidences_are_tagged_without_writing_captions(dataset):
    put_tagger(dataset.tab, "mini")
    dataset.tab.services.supervisor.close()
    dataset.tab.services.supervisor.join(60)
    found = dataset.get("causes/tag", tag="hat")
    run = dataset.get("causes/confidences", numbers=found["unknown"], model="mini")["run"]
    job = load_tag_job(open_run(dataset.tab.services.runs_dir, run).job_file)
    assert (job.dataset.train_data_dir, job.write.mode) == (str(dataset.folder), "confidences-only")
    assert sorted(job.dataset.images) == ["2_cat/e.png", "a.png", "b.png", "c.png", "d.png"]


def test_adding_the_tag_empties_the_list_and_undo_brings_it_back(dataset):
    (dataset.folder / ".lora_train").mkdir(exist_ok=True)
    (dataset.folder / ".lora_train" / "confidences.json").write_text(json.dumps({"2_cat/e.png": {"hat": 0.9}}))
    found = dataset.get("causes/tag", tag="hat", activation_tag="penny")
    [number] = dataset.numbers("2_cat/e.png")
    assert [one["number"] for one in found["untagged"]] == [number]
    assert {cell["path"] for cell in found["cells"]} == {"2_cat/e.png", "a.png", "b.png"}
    dataset.apply("add", [number], tags=["hat"], place="last")
    assert (dataset.folder / "2_cat/e.txt").read_text() == "penny, cat, hat"
    assert dataset.get("causes/tag", tag="hat")["untagged"] == []
    dataset.get("undo")
    assert len(dataset.get("causes/tag", tag="hat")["untagged"]) == 1


@pytest.mark.parametrize(("route", "body", "words"), [
    ("sample", {"image": "no base64"}, "did not arrive whole"),
    ("sample", {"image": base64.b64encode(b"no image").decode()}, "The sample"),
    ("sample", {"image": sent(Image.new("RGB", (8, 8)))}, "8 x 8 pixels"),
    ("tag", {"tag": "  "}, "No tag is given"),
    ("tag", {"tag": "x" * 1001}, "at most 1000 characters"),
    ("nearest", {"sample": "../../runs"}, "no longer kept"),
    ("nearest", {"sample": "0" * 32}, "no longer kept"),
    ("named", {"sample": "SAMPLE", "frame": [1, 2, 3]}, "four sides"),
    ("name", {"sample": "SAMPLE", "model": "nobody"}, "There is no tagger 'nobody'"),
    ("name", {"sample": "SAMPLE", "model": "wd-vit-tagger-v3"}, "is not on this machine"),
    ("name", {"sample": "SAMPLE", "model": "mini", "frame": [0, 0, 97, 20]}, "is not in the image of 96 x 128"),
    ("name", {"sample": "SAMPLE", "model": "mini", "frame": [9, 9, 9, 20]}, "Draw it again"),
    ("confidences", {"numbers": [10**6], "model": "mini"}, "no longer there"),
    ("confidences", {"numbers": [], "model": "mini"}, "No image is chosen")])
def test_what_cannot_be_done_is_a_sentence(dataset, sample, route, body, words):
    given = {name: sample if value == "SAMPLE" else value for name, value in body.items()}
    answer = dataset.ask(f"causes/{route}", **given)
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["error"]


def test_only_the_newest_samples_are_kept(dataset, sample):
    """Also where all are of one second, and where the clock was set back."""
    image = sent(Image.new("RGB", (16, 16)))
    folder, in_order = dataset.tab.services.runs_dir.parent / "causes", [sample]
    in_a_day = time.time() + 86400
    for _ in range(MOST_KEPT + 3):
        os.utime(folder / in_order[-1], (in_a_day, in_a_day))
        in_order.append(dataset.get("causes/sample", image=image)["sample"])
        assert {path.name for path in folder.iterdir()} == set(in_order[-MOST_KEPT:])
