"""Runs side by side: two to six training runs, damaged ones among them, and grids on request."""

from __future__ import annotations

import json
import shutil

import pytest

from ...conftest import HeldUp, wait_until

BROKEN = {"job.yaml": "- a\n- b", "job.yaml of no YAML": "a: [", "events.jsonl": None}


@pytest.fixture
def pair(tab, webui_scripts, finished_run):
    """A tab with two finished runs, the second at another rate."""
    first = finished_run(tab)
    runs = tab.services.runs_dir
    second = f"{first}-2"
    shutil.copytree(runs / first, runs / second)
    job = runs / second / "job.yaml"
    job.write_text(job.read_text().replace("network_dim: 32", "network_dim: 16"))
    tab.pair = [first, second]
    return tab


def compared(tab, runs):
    return tab.post("compare", {"runs": runs})


def drawn(tab, **request):
    answer = tab.post("compare/draw", {"runs": tab.pair, "prompts": ["penny sad", "a house"], **request})
    assert answer.status_code == 200, answer.text
    return wait_until(lambda: (now := tab.post("compare/grids", {"runs": tab.pair}).json())["drawing"] is None
                      and now["grids"])


def test_the_number_and_kind_of_runs_is_checked(pair):
    first, second = pair.pair
    for runs, words in (([], "0 runs"), ([first], "1 runs"), ([first, first], "1 runs"),
                        ([f"x{number}" for number in range(7)], "7 runs"), ([first, "none"], "no run 'none'"),
                        ([first, ".."], "no run '..'")):
        for route in ("compare", "compare/grids", "compare/draw"):
            answer = pair.post(route, {"runs": runs, "prompts": ["x"]})
            assert answer.status_code == 400 and words in answer.json()["error"], (route, runs, answer.text)
    (pair.services.runs_dir / second / "command").write_text("tag")
    assert "no training run" in compared(pair, pair.pair).json()["error"]


@pytest.mark.parametrize("kind", BROKEN)
def test_a_damaged_run_among_them_is_named_and_the_others_are_compared(pair, kind):
    first, second = pair.pair
    third = f"{first}-3"
    shutil.copytree(pair.services.runs_dir / first, pair.services.runs_dir / third)
    file = pair.services.runs_dir / third / kind.split(" ")[0]
    file.unlink()
    file.mkdir() if BROKEN[kind] is None else file.write_text(BROKEN[kind])
    answer = compared(pair, [first, third, second])
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert [(one["key"], one["values"][0], one["values"][2]) for one in found["differences"]] == [
        ("network.network_dim", 32, 16)]
    assert found["problems"][0] == found["problems"][2] == "" and file.name in found["problems"][1]


def test_changes_after_continuing_count(pair):
    _, second = pair.pair
    (pair.services.runs_dir / second / "changes.yaml").write_text("training: {max_train_epochs: 9}\n")
    assert [one["key"] for one in compared(pair, pair.pair).json()["differences"]] == [
        "network.network_dim", "training.max_train_epochs"]


def test_a_grid_on_request_leaves_out_what_has_no_file(pair):
    first, second = pair.pair
    events = pair.services.runs_dir / second / "events.jsonl"
    events.write_text("".join(line for line in events.read_text().splitlines(True) if '"saved"' not in line))
    [grid] = drawn(pair)
    assert (grid["state"], grid["columns"]["headings"]) == ("finished", ["No LoRA", "penny"])
    assert grid["left_out"] == ["penny-2 has no saved file."] and len(grid["cells"]) == 4
    assert json.loads((pair.services.runs_dir / first / "grids" / grid["id"] / "plot.json").read_text())["runs"] == \
        pair.pair
    assert pair.get(f"runs/{first}/plots").json()["plots"] == []


@pytest.mark.parametrize(("prompts", "words"), [
    ([], "at least one prompt"), (["  "], "at least one prompt"), (["x --w 3"], "--w"), (["x"] * 30, "more than 20")])
def test_prompts_that_cannot_be_generated_are_refused(pair, prompts, words):
    answer = pair.post("compare/draw", {"runs": pair.pair, "prompts": prompts})
    assert answer.status_code == 400 and words in answer.json()["error"]


def test_a_grid_can_be_stopped_and_keeps_what_it_has(pair, monkeypatch):
    held = HeldUp("a house <lora", monkeypatch)
    pair.post("compare/draw", {"runs": pair.pair, "prompts": ["penny sad", "a house"]})
    held.wait()
    pair.post("compare/stop")
    held.go()
    [grid] = wait_until(lambda: (now := pair.post("compare/grids", {"runs": pair.pair}).json())["drawing"] is None
                        and now["grids"])
    assert grid["state"] == "stopped" and 0 < len(grid["cells"]) < 6


def test_a_damaged_grid_is_shown_as_such(pair):
    [grid] = drawn(pair)
    (pair.services.runs_dir / grid["run"] / "grids" / grid["id"] / "plot.json").write_text("{")
    [found] = pair.post("compare/grids", {"runs": pair.pair}).json()["grids"]
    assert found["state"] == "failed" and "plot.json" in found["error"]
