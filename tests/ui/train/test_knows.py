"""What does the base know? from the tab: the webui draws the words, a worker measures, the result is kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from ..conftest import HeldUp, painted, wait_until
from ..page_types import type_errors

TAGGER = Path(__file__).resolve().parents[3] / "demo" / "tagger"


def form(tab, **groups):
    dataset = {"train_data_dir": str(tab.dataset), "activation_tag": "penny", "resolution": "128x64"}
    return {"dataset": dataset, **groups}


def start(tab, **asked):
    answer = tab.post("knows/runs", {"job": form(tab), "traits": ["smiling"], "images_per_word": 2, **asked})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def with_tagger(tab):
    folder = tab.services.host.models_dir / "TrainLora" / "taggers" / "mini"
    shutil.copytree(TAGGER, folder)
    return "mini"


def test_the_webui_draws_each_word_and_the_worker_says_what_follows(tab, tmp_path):
    answers = []

    def ask(route, body=None):
        answer = tab.get(route) if body is None else tab.post(route, body)
        assert answer.status_code == 200, answer.text
        answers.append((route, body is not None, answer.json()))
        return answer.json()

    plan = ask("knows", {"job": form(tab), "images_per_word": 2})
    assert (plan["trigger"], plan["traits"], plan["images"], plan["drawn"]) == (
        "penny", ["smiling"], 4, 6)  # number 0 and so on are on one image each
    assert plan["taggers"] == [] and any("No tagger is installed" in note for note in plan["notes"])
    assert ask("knows/newest", {"job": form(tab)}) == {"id": None}
    tagger = with_tagger(tab)
    assert ask("knows", {"job": form(tab)})["taggers"] == [tagger]
    run = ask("knows/runs", {"job": form(tab), "candidates": ["miku"], "traits": ["smiling"], "prompt": "1girl",
                             "images_per_word": 2, "tagger": tagger})["id"]
    ask(f"knows/runs/{run}")
    tab.wait_for(run, "finished")
    result = ask(f"knows/runs/{run}/result")
    assert [word["word"] for word in result["words"]] == ["penny", "miku", "smiling"]
    assert result["outdated"] == [] and result["tagger"] == tagger and len(result["alone"]) == 2
    folder = tab.services.runs_dir / run
    for word, prompt in enumerate(("1girl", "penny, 1girl", "miku, 1girl", "smiling, 1girl")):
        for seed in (1, 2):
            picture = Image.open(folder / "pictures" / f"{word:02d}-{seed}.png")
            assert (picture.size, picture.getpixel((1, 1))) == ((128, 64), painted(prompt, seed))
    assert tab.get(f"runs/{run}/file", path="pictures/00-1.png").status_code == 200
    assert ask("knows/newest", {"job": form(tab)}) == {"id": run}
    assert type_errors(tmp_path, answers) == []

    (tab.dataset / "1.txt").write_text("penny, red boots")
    checkpoint = tab.services.host.checkpoint().path
    checkpoint.write_bytes(b"other")
    outdated = tab.get(f"knows/runs/{run}/result").json()["outdated"]
    assert outdated == [f"{checkpoint.name} has changed since.", "Images or captions have changed since."]


def test_it_says_which_runs_it_begins_after(tab):
    assert not any("begins after" in note for note in tab.post("knows", {"job": form(tab)}).json()["notes"])
    tab.post("queue/hold", {"on_hold": True})
    for names, words in ((("one",), "after 1 queued run, since"), (("two", "three"), "after 3 queued runs, since")):
        for name in names:
            tab.start(name)
        notes = tab.post("knows", {"job": form(tab)}).json()["notes"]
        assert any(words in note and "put on hold" in note for note in notes), notes


def test_it_can_be_stopped_while_the_webui_draws(tab, monkeypatch):
    held = HeldUp("smiling", monkeypatch)
    run = start(tab)
    held.wait()
    assert tab.get(f"knows/runs/{run}").json()["drawing"]["state"] == "drawing"
    assert "Another check" in tab.post("knows/runs", {"job": form(tab), "traits": ["x"]}).json()["error"]
    assert tab.post(f"knows/runs/{run}/stop").status_code == 200
    held.go()
    tab.wait_for(run, "stopped")
    assert "no result yet" in tab.get(f"knows/runs/{run}/result").json()["error"]


@pytest.mark.parametrize("why", ["another webui", "another checkpoint", "an error of the webui"])
def test_the_trainer_draws_where_the_webui_cannot(tab, monkeypatch, why):
    asked = form(tab)
    if why == "another webui":
        monkeypatch.setattr(type(tab.services.host), "plot_drawer", lambda self: None)
    elif why == "another checkpoint":
        other = tab.services.host.checkpoint().path.with_name("other.safetensors")
        other.touch()
        tab.services.host.refresh_checkpoints()
        monkeypatch.setattr(type(tab.services.host), "checkpoint", lambda self: next(
            file for file in self.checkpoints() if file.path != other))
        asked = form(tab, base={"checkpoint": str(tab.services.host.checkpoint().path)})
        monkeypatch.setattr(type(tab.services.host), "checkpoint", lambda self: None)
    else:
        from modules import processing

        monkeypatch.setattr(processing, "process_images", lambda p: 1 / 0)
    notes = tab.post("knows", {"job": asked}).json()["notes"]
    assert any("The trainer generates the images" in note for note in notes) == (why != "an error of the webui")
    answer = tab.post("knows/runs", {"job": asked, "traits": ["smiling"], "images_per_word": 1})
    run = answer.json()["id"]
    tab.wait_for(run, "finished")
    assert Image.open(tab.services.runs_dir / run / "pictures" / "01-1.png").getpixel((1, 1)) == (255, 0, 0)
    warnings = [event["text"] for event in tab.get(f"runs/{run}").json()["events"] if event["event"] == "warning"]
    assert any("ZeroDivisionError" in text for text in warnings) == (why == "an error of the webui")


def test_without_captions_only_the_names_are_tried(tab):
    for file in tab.dataset.glob("*.txt"):
        file.unlink()
    assert any("No image has a caption" in note for note in tab.post("knows", {"job": form(tab)}).json()["notes"])
    run = start(tab, traits=[], images_per_word=0)
    tab.wait_for(run, "finished")
    assert [word["word"] for word in tab.get(f"knows/runs/{run}/result").json()["words"]] == ["penny"]


@pytest.mark.parametrize(("change", "said"), [
    ({"tagger": "../../x"}, "There is no tagger"), ({"images_per_word": 99}, "images_per_word"),
    ({"candidates": [f"word {number}" for number in range(60)]}, "at most 40"),
    ({"job": {"dataset": {"train_data_dir": "/nowhere"}}}, "There is no folder"),
    ({"job": {"dataset": {}}}, "No folder is given")])
def test_what_cannot_be_checked_is_refused_with_a_sentence(tab, change, said):
    answer = tab.post("knows/runs", {"job": form(tab), "traits": ["smiling"], **change})
    assert answer.status_code == 400 and said.lower() in " ".join(answer.json()["problems"]).lower(), answer.text
    assert tab.get("runs").json() == []


def test_the_result_of_another_kind_of_run_or_a_damaged_one_is_refused(tab):
    run = start(tab, images_per_word=0)
    tab.wait_for(run, "finished")
    (tab.services.runs_dir / run / "result.json").write_text("[1]")
    assert "cannot be read" in tab.get(f"knows/runs/{run}/result").json()["error"]
    other = tab.start()
    tab.wait_for(other, "finished")
    for answer in (tab.get(f"knows/runs/{other}/result"), tab.post(f"knows/runs/{other}/stop"),
                   tab.get("knows/runs/x")):
        assert answer.status_code == 400
    assert wait_until(lambda: tab.post("knows/newest", {"job": form(tab)}).json()["id"]) == run
