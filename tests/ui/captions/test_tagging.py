"""The routes of the tagging panel."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_lora_train.config.tag_job import load_tag_job
from lib_lora_train.config.taggers import KNOWN_TAGGERS
from lib_lora_train.runs.folder import open_run
from lib_lora_train.runs.queue import queued_device

from ..conftest import HEADERS, Tab


def put_tagger(tab: Tab, name: str) -> Path:
    """A tagger's files, empty; nothing is run here."""
    folder = tab.data / "models" / "TrainLora" / "taggers" / name
    folder.mkdir(parents=True)
    (folder / "model.onnx").touch()
    (folder / "selected_tags.csv").touch()
    return folder


def tag_values(tab: Tab, **tagger: object) -> dict:
    return {"dataset": {"train_data_dir": str(tab.dataset)}, "tagger": {"model": "wd-vit-tagger-v3", **tagger}}


@pytest.fixture
def tab(make_tab) -> Tab:
    """A tab whose queue is not worked on, so that what was queued stays there to be looked at."""
    tab = make_tab()
    tab.services.supervisor.close()
    tab.services.supervisor.join(60)
    return tab


def test_the_known_taggers_are_listed_and_those_that_are_here_marked(tab: Tab):
    put_tagger(tab, "wd-vit-tagger-v3")
    put_tagger(tab, "my own")
    answer = tab.get("tagging").json()
    here = {tagger["name"]: tagger["here"] for tagger in answer["taggers"]}
    assert set(here) == {*(tagger.name for tagger in KNOWN_TAGGERS), "my own"}
    assert [name for name, is_here in here.items() if is_here] == ["wd-vit-tagger-v3", "my own"]
    assert answer["taggers_dir"] == str(tab.data / "models" / "TrainLora" / "taggers")
    assert answer["run"] is None
    facts = {tagger["name"]: tagger for tagger in answer["taggers"]}
    assert facts["camie-tagger-v2"]["categories"] == ["general", "character", "copyright", "artist", "meta", "rating",
                                                      "year"]
    assert (facts["camie-tagger-v2"]["licence"], facts["wd-vit-tagger-v3"]["thresholds"]) == (
        "GPL-3.0", {"general": 0.35, "character": 0.85})
    assert facts["my own"]["categories"] == []  # only the worker can say
    names = [setting["key"] for group in answer["groups"] for setting in group["settings"]]
    assert {"tagger.model", "tags.general_threshold", "tags.exclude_tags", "write.mode"} <= set(names)


def test_a_run_is_queued_with_its_job_and_the_webuis_own_folder(tab: Tab):
    put_tagger(tab, "wd-vit-tagger-v3")
    values = {**tag_values(tab, models_dir="/etc"), "write": {"mode": "append"}, "tags": {"exclude_tags": ["hat"]}}
    answer = tab.post("tagging/runs", {"job": values})
    assert answer.status_code == 200, answer.text
    run = open_run(tab.services.runs_dir, answer.json()["id"])
    job = load_tag_job(run.job_file)
    assert job.tagger.models_dir == str(tab.data / "models" / "TrainLora" / "taggers")
    assert (job.write.mode, job.tags.exclude_tags) == ("append", ["hat"])
    assert run.command == "tag"
    assert queued_device(run) == "cpu"
    [listed] = tab.get("runs").json()
    assert (listed["command"], listed["name"], listed["state"]) == ("tag", "tags-pictures", "waiting")
    assert tab.get("tagging").json()["run"] == {"id": run.id, "state": "waiting"}
    assert tab.post(f"runs/{run.id}/control", {"action": "stop"}).status_code == 200
    assert tab.get("tagging").json()["run"] is None


@pytest.mark.parametrize(("provider", "device", "expected"), [
    ("auto", "cuda:1", "cpu"), ("cpu", "cuda:1", "cpu"), ("cuda", "cuda:1", "cuda:1"), ("cuda", "cpu", "cuda:0"),
    ("directml", "cuda", "cuda:0"),
])
def test_a_gpu_is_asked_for_only_where_the_tagger_would_use_it(make_tab, provider, device, expected):
    tab = make_tab(device=device)
    tab.services.supervisor.close()
    tab.services.supervisor.join(60)
    put_tagger(tab, "wd-vit-tagger-v3")
    answer = tab.post("tagging/runs", {"job": tag_values(tab, provider=provider)}).json()
    assert queued_device(open_run(tab.services.runs_dir, answer["id"])) == expected


def test_a_tagger_that_is_not_here_is_fetched_only_when_asked(tab: Tab):
    refused = tab.post("tagging/runs", {"job": tag_values(tab)})
    assert refused.status_code == 400
    assert "huggingface.co/SmilingWolf/wd-vit-tagger-v3" in refused.json()["error"]
    assert tab.get("runs").json() == []
    assert tab.post("tagging/runs", {"job": tag_values(tab, download=True)}).status_code == 200


def test_everything_that_is_wrong_is_said_at_once(tab: Tab):
    values = {"dataset": {"train_data_dir": "/nowhere/at/all"}, "tagger": {"model": "wd-super"},
              "tags": {"general_threshold": 2}}
    answer = tab.post("tagging/runs", {"job": values})
    assert answer.status_code == 400
    said = " ".join(answer.json()["problems"])
    assert "/nowhere/at/all" in said
    assert "wd-super" in said
    assert "tags.general_threshold is 2" in said


def test_with_hidden_folders_only_the_webuis_own_taggers_and_datasets_can_be_used(make_tab, tmp_path: Path):
    tab = make_tab(hide_ui_dir_config=True)
    tab.services.supervisor.close()
    tab.services.supervisor.join(60)
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "model.onnx").touch()
    (other / "selected_tags.csv").touch()
    answer = tab.post("tagging/runs", {"job": tag_values(tab, model=str(other))})
    assert answer.status_code == 400
    said = answer.json()["problems"]
    assert any("hide-ui-dir-config" in problem and "tagger.model" in problem for problem in said)
    assert any("only folders under" in problem for problem in said)
    for sly in ("..", "../../../elsewhere", "."):
        assert tab.post("tagging/runs", {"job": tag_values(tab, model=sly)}).status_code == 400


def test_a_run_that_was_interrupted_resumes_and_another_does_not(tab: Tab):
    put_tagger(tab, "wd-vit-tagger-v3")
    run_id = tab.post("tagging/runs", {"job": tag_values(tab)}).json()["id"]
    run = open_run(tab.services.runs_dir, run_id)
    assert tab.post(f"tagging/runs/{run_id}/continue").status_code == 400
    (run.path / "queued.json").rename(run.path / "claimed.json")
    run.process_file.write_text('{"pid": 1, "created": 0}')
    assert tab.get("tagging").json()["run"] == {"id": run_id, "state": "lost"}
    assert tab.post(f"tagging/runs/{run_id}/continue").json() == {"id": run_id}
    assert queued_device(run) == "cpu"
    assert tab.get("tagging").json()["run"] == {"id": run_id, "state": "waiting"}
    trained = tab.start()
    assert tab.post(f"tagging/runs/{trained}/continue").status_code == 400


def test_the_routes_are_behind_the_guards(make_tab):
    tab = make_tab(auth=("me", "secret"))
    assert tab.get("tagging").status_code == 401
    assert tab.client.post("/train-lora/tagging/runs", json={"job": {}}, headers=HEADERS).status_code == 401
    tab = make_tab()
    assert tab.client.post("/train-lora/tagging/runs", json={"job": {}}).status_code == 403
