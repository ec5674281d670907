"""Compare my checkpoints, from the tab: which are compared, whether the captions fit, what is outdated."""

from __future__ import annotations

import pytest

from ..page_types import type_errors


def form(tab, **base):
    return {"job": {"dataset": {"train_data_dir": str(tab.dataset)}, "base": base}}


def compared(tab):
    run = tab.post("bases/runs").json()["id"]
    tab.wait_for(run, "finished")
    return run


@pytest.fixture
def checkpoints(tab):
    first = tab.services.host.checkpoint().path
    others = [first.with_name(name) for name in ("other.safetensors", "third.safetensors")]
    for file in others:
        file.write_bytes(b"x")
    tab.services.host.refresh_checkpoints()
    return [first, *others]


def test_every_checkpoint_of_the_webui_is_compared(tab, checkpoints, tmp_path):
    assert tab.get("bases").json() == {"id": None}
    run = compared(tab)
    assert tab.get("bases").json() == {"id": run}
    result = tab.post(f"bases/runs/{run}/result", form(tab)).json()
    assert {base["path"] for base in result["bases"]} == {str(path) for path in checkpoints}
    assert result["bases"][result["chosen"]]["path"] == str(tab.services.host.checkpoint().path)
    assert result["outdated"] == [] and type_errors(tmp_path, [
        ("bases", False, {"id": run}), (f"bases/runs/{run}/result", True, result)]) == []
    chosen = tab.post(f"bases/runs/{run}/result", form(tab, checkpoint=str(checkpoints[2]))).json()["chosen"]
    assert result["bases"][chosen]["name"] == "third.safetensors"
    checkpoints[1].write_bytes(b"another")
    checkpoints[2].unlink()
    checkpoints[0].with_name("new.safetensors").write_bytes(b"x")
    tab.services.host.refresh_checkpoints()
    outdated = tab.post(f"bases/runs/{run}/result", form(tab)).json()["outdated"]
    assert outdated == ["new.safetensors is new.", "other.safetensors has changed.", "third.safetensors is gone."]


@pytest.mark.parametrize(("caption", "level", "said"), [
    ("1girl, red boots, smile", "warning", "expects sentences"),
    ("A girl with red boots stands in a field of flowers.", "good", "sentences"),
    ("anthro, canid, mammal, red boots", "warning", "Florence-2")])
def test_the_captions_are_judged_against_the_chosen_base(tab, caption, level, said):
    for file in tab.dataset.glob("*.txt"):
        file.write_text(caption)
    result = tab.post(f"bases/runs/{compared(tab)}/result", form(tab)).json()
    fit = result["bases"][0]["fit"]  # the stand-in's first checkpoint expects sentences
    assert fit["level"] == level and said in fit["text"], fit


def test_without_captions_or_a_folder_nothing_is_judged(tab):
    run = compared(tab)
    for file in tab.dataset.glob("*.txt"):
        file.unlink()
    assert tab.post(f"bases/runs/{run}/result", form(tab)).json()["captions"] == "No image has a caption"
    answer = tab.post(f"bases/runs/{run}/result", {"job": {}}).json()
    assert "Choose the folder" in answer["captions"] and answer["bases"][0]["fit"]["level"] == "note"


def test_what_is_no_comparison_or_damaged_is_refused_with_a_sentence(tab):
    run = compared(tab)
    for text in ("[1]", "{", '{"bases": 3}', '{"bases": [3]}'):
        (tab.services.runs_dir / run / "result.json").write_text(text)
        answer = tab.post(f"bases/runs/{run}/result", form(tab))
        assert answer.status_code == 400 and "Compare again" in answer.json()["error"], text
    (tab.services.runs_dir / run / "result.json").unlink()
    assert "no result yet" in tab.post(f"bases/runs/{run}/result", form(tab)).json()["error"]
    other = tab.start()
    tab.wait_for(other, "finished")
    for answer in (tab.post(f"bases/runs/{other}/result", form(tab)), tab.post("bases/runs/x/result", form(tab)),
                   tab.post(f"bases/runs/{run}/continue")):
        assert answer.status_code == 400
