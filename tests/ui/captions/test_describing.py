"""Images are described by the webui's interrogator before a tagging run, one at a time, each only once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from modules import interrogate, shared

from lib_lora_train.captions.descriptions import keep_descriptions, read_descriptions
from lib_lora_train.config.tag_job import load_tag_job
from lib_lora_train.host.describing.interrogator import Interrogator
from lib_lora_train.host.webui import Webui
from lib_lora_train.runs.folder import open_run

from ..conftest import Tab, wait_until


@pytest.fixture
def interrogator(monkeypatch):
    made = interrogate.InterrogateModels()
    monkeypatch.setattr(shared, "interrogator", made)
    monkeypatch.setattr(Interrogator, "missing", lambda self: "")
    return made


@pytest.fixture
def tab(make_tab, interrogator) -> Tab:
    """A tab whose queue is not worked on."""
    tab = make_tab()
    tab.services.supervisor.close()
    tab.services.supervisor.join(60)
    return tab


def values(tab: Tab, **prose: object) -> dict:
    return {"dataset": {"train_data_dir": str(tab.dataset)}, "prose": {"captioner": "interrogator", "place": "instead",
                                                                      **prose}}


def pictures_of(tab: Tab) -> list[Path]:
    return sorted(path for path in tab.dataset.rglob("*.png"))


def start(tab: Tab, **prose: object) -> str:
    answer = tab.post("tagging/runs", {"job": {**values(tab, **prose), "write": {"mode": "overwrite"}}})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def ended(tab: Tab) -> dict:
    return wait_until(lambda: (state := tab.get("tagging/describing").json())["state"] != "describing" and state)


def test_every_image_is_described_and_the_run_is_queued_then(tab: Tab, interrogator):
    assert tab.get("tagging/describing").json()["state"] == "idle"
    assert start(tab) == ""
    state = ended(tab)
    count = len(pictures_of(tab))
    assert (state["state"], state["done"], state["total"]) == ("finished", count, count)
    run = open_run(tab.services.runs_dir, state["run"])
    assert load_tag_job(run.job_file).prose.captioner == "interrogator"
    texts = read_descriptions(tab.dataset)
    assert len(texts) == len(interrogator.said) == count
    assert all(" picture of " in text for text in texts.values())
    assert start(tab) != ""  # all are described by now, so the run starts at once
    assert len(interrogator.said) == count


def test_only_what_a_run_would_write_is_described(tab: Tab, interrogator):
    first, second, *others = pictures_of(tab)
    for picture in pictures_of(tab):
        picture.with_suffix(".txt").write_text("mine")
    second.with_suffix(".txt").write_text(" \n")
    first.with_suffix(".txt").unlink()
    answer = tab.post("tagging/runs", {"job": values(tab)})
    assert answer.json() == {"id": ""}
    ended(tab)
    assert set(read_descriptions(tab.dataset)) == {one.relative_to(tab.dataset).as_posix() for one in (first, second)}
    job = values(tab)
    job["dataset"]["images"] = [others[0].relative_to(tab.dataset).as_posix()]
    tab.post("tagging/runs", {"job": {**job, "write": {"mode": "append"}}})
    ended(tab)
    assert len(read_descriptions(tab.dataset)) == 3


def test_a_stop_keeps_what_is_described_and_starts_no_run(tab: Tab, interrogator, monkeypatch):
    plain = interrogator.generate_caption

    def slow(picture):
        tab.services.describing.stop()
        return plain(picture)

    monkeypatch.setattr(interrogator, "generate_caption", slow)
    start(tab)
    state = ended(tab)
    assert (state["state"], state["done"], state["run"]) == ("stopped", 1, "")
    assert "1 image described" in state["text"]
    assert len(read_descriptions(tab.dataset)) == 1
    assert tab.get("runs").json() == []
    monkeypatch.setattr(interrogator, "generate_caption", plain)
    start(tab)
    assert ended(tab)["total"] == len(pictures_of(tab)) - 1


def test_the_webuis_own_work_goes_first(tab: Tab, interrogator, monkeypatch):
    busy = [True]
    monkeypatch.setattr(Webui, "gpu_is_wanted", lambda self: "an image" if busy[0] else None)
    start(tab)
    wait_until(lambda: tab.get("tagging/describing").json()["waits"])
    assert interrogator.said == []
    again = tab.post("tagging/runs", {"job": {**values(tab), "write": {"mode": "append"}}})
    assert again.status_code == 400 and "already being described" in again.json()["error"]
    busy[0] = False
    assert ended(tab)["state"] == "finished"


def test_a_failure_is_said_where_the_progress_was_and_nothing_is_lost(tab: Tab, interrogator, monkeypatch):
    plain, done = interrogator.generate_caption, []

    def fails_second(picture):
        done.append(picture)
        if len(done) == 2:
            raise RuntimeError("CUDA out of memory")
        return plain(picture)

    monkeypatch.setattr(interrogator, "generate_caption", fails_second)
    model = tab.data / "models" / "BLIP" / "model.pth"
    model.parent.mkdir(parents=True)
    model.touch()
    start(tab)
    state = ended(tab)
    assert state["state"] == "failed" and "CUDA out of memory" in state["text"]
    assert len(read_descriptions(tab.dataset)) == 1


def test_a_damaged_image_is_skipped(tab: Tab, interrogator):
    pictures_of(tab)[0].write_bytes(pictures_of(tab)[0].read_bytes()[:60])
    start(tab)
    state = ended(tab)
    assert state["state"] == "finished"
    assert len(read_descriptions(tab.dataset)) == len(pictures_of(tab)) - 1


def test_a_download_needs_a_yes_and_the_page_knows_what_it_would_be(tab: Tab, monkeypatch):
    monkeypatch.setattr(Interrogator, "missing", lambda self: "It would download its model (900 MB).")
    known = {one["name"]: one for one in tab.get("tagging").json()["captioners"]}
    assert known["interrogator"]["missing"] == "It would download its model (900 MB)."
    refused = tab.post("tagging/runs", {"job": values(tab)})
    assert refused.status_code == 400 and "900 MB" in refused.json()["error"]
    assert start(tab, download=True) == ""
    assert ended(tab)["state"] == "finished"


def test_a_webui_without_an_interrogator_says_so(tab: Tab, monkeypatch):
    monkeypatch.setattr(Webui, "describer", lambda self: None)
    known = {one["name"]: one for one in tab.get("tagging").json()["captioners"]}
    assert "no interrogator" in known["interrogator"]["refused"]
    refused = tab.post("tagging/runs", {"job": values(tab)})
    assert refused.status_code == 400 and "no interrogator" in refused.json()["error"]


def test_damaged_descriptions_are_an_answer_and_the_first_image_is_told(tab: Tab):
    keep_descriptions(tab.dataset, {})
    file = tab.dataset / ".lora_train" / "descriptions.json"
    file.write_text(json.dumps([1]))
    answer = tab.post("tagging/runs", {"job": values(tab)})
    assert answer.status_code == 400 and "descriptions.json" in answer.json()["error"]
    image = tab.post("tagging/first", {"job": values(tab)}).json()["image"]
    assert (tab.dataset / image).is_file()
