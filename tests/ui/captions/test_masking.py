"""The routes of masking runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from lib_lora_train.config.mask_job import load_mask_job
from lib_lora_train.config.mask_models import KNOWN_MASK_MODELS
from lib_lora_train.pictures.masks.shape import png_of
from lib_lora_train.runs.folder import open_run
from lib_lora_train.runs.queue import queued_device

from ..conftest import Tab


@pytest.fixture
def tab(make_tab) -> Tab:
    """A tab whose queue is not worked on, so that what was queued stays there to be looked at."""
    tab = make_tab(device="cuda:1")
    tab.services.supervisor.close()
    tab.services.supervisor.join(60)
    return tab


def put_model(tab: Tab, name: str, file: str) -> Path:
    """A model's file, empty; nothing is run here."""
    path = tab.data / "models/TrainLora/masks" / name / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def values(tab: Tab, **mask: object) -> dict:
    return {"dataset": {"train_data_dir": str(tab.dataset)}, "mask": mask}


def test_the_methods_and_the_models_are_listed_and_those_that_are_here_marked(tab: Tab):
    put_model(tab, "u2net", "u2net.onnx")
    put_model(tab, "my own", "any.onnx")
    answer = tab.get("masks").json()
    here = {model["name"]: model["here"] for model in answer["models"]}
    assert set(here) == {*(model.name for model in KNOWN_MASK_MODELS), "my own"}
    assert [name for name, is_here in here.items() if is_here] == ["u2net", "my own"]
    names = [setting["key"] for group in answer["groups"] for setting in group["settings"]]
    assert {"mask.method", "mask.tolerance", "mask.head_factor", "mask.model", "write.mode"} <= set(names)
    assert answer["run"] is None


@pytest.mark.parametrize(("mask", "device"), [
    ({}, "cpu"), ({"method": "face", "provider": "cuda"}, "cpu"),
    ({"method": "subject", "model": "u2net", "provider": "cuda"}, "cuda:1"),
    ({"method": "subject", "model": "u2net", "provider": "cpu"}, "cpu")])
def test_a_run_is_queued_and_asks_for_the_gpu_only_if_a_model_uses_it(mask: dict, device: str, tab: Tab):
    put_model(tab, "u2net", "u2net.onnx")
    job = {**values(tab, **mask, models_dir="/etc"), "write": {"mode": "replace-all"}}
    answer = tab.post("masks/runs", {"job": job})
    assert answer.status_code == 200, answer.text
    run = open_run(tab.services.runs_dir, answer.json()["id"])
    job = load_mask_job(run.job_file)
    assert job.mask.models_dir == str(tab.data / "models/TrainLora/masks") and job.write.mode == "replace-all"
    assert (run.command, queued_device(run)) == ("mask", device)
    assert tab.get("masks").json()["run"] == {"id": run.id, "state": "waiting"}
    assert tab.post(f"masks/runs/{run.id}/continue", {}).json()["error"].endswith("masking run can be resumed.")
    none = tab.get(f"masks/runs/{run.id}/preview")
    assert none.status_code == 400 and "has made no mask" in none.json()["error"]
    (run.state / "masks").mkdir(parents=True)
    (run.state / "masks/1.png").write_bytes(png_of(Image.new("L", (40, 30), 255)))
    assert tab.get(f"masks/runs/{run.id}/preview").json()["share"] == 1


@pytest.mark.parametrize(("mask", "words"), [
    ({"method": "subject"}, "isnetis.onnx (176 MB) from huggingface.co/skytnt/anime-seg"),
    ({"method": "subject", "model": ""}, "mask.model is empty"),
    ({"method": "subject", "model": "nobody"}, "There is no mask model 'nobody'"),
    ({"method": "subject", "model": "../x"}, "mask.model"),
    ({"method": "subject", "model": "//host/x.onnx"}, "another machine"),
    ({"method": "subject", "model": "/nowhere/x.onnx"}, "There is no mask model at"),
    ({"method": "subject", "model": "x\0.onnx"}, "mask.model"), ({"method": "magic"}, "Choose one of: border, face"),
    ({"grow": 99}, "mask.grow is 99"), ({"feather": "soft"}, "mask.feather"), ({"threshold": -1}, "mask.threshold")])
def test_a_run_that_cannot_work_is_refused_in_words(mask: dict, words: str, tab: Tab):
    answer = tab.post("masks/runs", {"job": values(tab, **mask)})
    assert answer.status_code == 400 and words in answer.json()["error"], answer.text
    assert tab.get("runs").json() == []


def test_a_model_is_downloaded_only_if_asked(tab: Tab):
    answer = tab.post("masks/runs", {"job": values(tab, method="subject", download=True)})
    assert load_mask_job(open_run(tab.services.runs_dir, answer.json()["id"]).job_file).mask.download
