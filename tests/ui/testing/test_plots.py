"""Plots from the tab, drawn by the stand-in's X/Y/Z plot: what is drawn, kept, stopped, refused and read from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from lib_lora_train.host.interface import BLOCK, EPOCH, WITHOUT
from tests.standin.webui import use_standin_modules

from ..conftest import HeldUp, painted, wait_until

use_standin_modules()


@pytest.fixture
def tested(tab, webui_scripts, finished_run):
    """A tab with a finished run of three epochs."""
    tab.run = finished_run(tab)
    return tab


def ask(tab, **request):
    given = {"kind": "epochs", "prompts": ["penny smiling", "penny, sad"], "width": 64, "height": 64, "steps": 2,
             "files": [WITHOUT, "penny-000001", "penny-000002", "penny"], "seed": 7, **request}
    return tab.post(f"runs/{tab.run}/plots", given)


def draw(tab, **request):
    """The plot once it is done."""
    answer = ask(tab, **request)
    assert answer.status_code == 200, answer.text
    wait_until(lambda: tab.get(f"runs/{tab.run}/plots").json()["drawing"] is None)
    return next(plot for plot in tab.get(f"runs/{tab.run}/plots").json()["plots"] if plot["id"] == answer.json()["id"])


def colour(tab, plot, column, row):
    answer = tab.get(f"runs/{tab.run}/file", path=plot["cells"][f"{column},{row}"])
    file = tab.data / "seen.png"
    file.write_bytes(answer.content)
    return Image.open(file).getpixel((3, 3))


def colour_of(prompt, seed=7, checkpoint=""):
    """What the stand-in paints."""
    return painted(prompt, seed, checkpoint)


def test_what_a_run_can_be_tested_with(tested):
    facts = tested.get(f"runs/{tested.run}/test").json()
    assert [file["name"] for file in facts["files"]] == ["penny-000001", "penny-000002", "penny"]
    assert (facts["tag"], facts["prompts"], facts["width"]) == ("penny", ["penny smiling"], 512)
    assert facts["samplers"] == ["DPM++ 2M", "Euler a", "DDIM"]
    tested.post(f"runs/{tested.run}/test-prompts", {"text": "one\n\ntwo"})
    assert tested.get(f"runs/{tested.run}/test").json()["prompts"] == ["one", "two"]


def test_epochs_beside_the_picture_without_the_lora(tested):
    plot = draw(tested)
    assert plot["state"] == "finished" and plot["columns"]["values"][0] == WITHOUT
    assert plot["columns"]["headings"] == ["No LoRA", "Epoch 1", "Epoch 2", "Last"]
    assert plot["rows"]["headings"] == ["penny smiling", "penny, sad"]
    files = ["", "<lora:penny-000001:1>", "<lora:penny-000002:1>", "<lora:penny:1>"]
    for column, file in enumerate(files):
        for row, prompt in enumerate(("penny smiling", "penny, sad")):
            assert colour(tested, plot, column, row) == colour_of(f"{prompt} {file}")
    assert Image.open(Path(tested.services.runs_dir) / tested.run / plot["grid"]).size == (256, 128)


@pytest.mark.parametrize(("rows", "values", "expected"), [
    ("strengths", ["0.5", "1.5"], [colour_of("penny smiling <lora:penny:0.5:0.5>"),
                                   colour_of("penny smiling <lora:penny:1.5:1.5>")]),
    ("seeds", ["3"], [colour_of("penny smiling <lora:penny:1>", seed=3)]),
    ("presets", [WITHOUT, "INS"], [colour_of("penny smiling <lora:penny:1>"),
                                   colour_of("penny smiling <lora:penny:1:lbw=INS>")]),
    ("checkpoints", ["mini.safetensors"], [colour_of("penny smiling <lora:penny:1>", checkpoint="mini.safetensors")])])
def test_rows_can_be_other_things_than_prompts(tested, rows, values, expected):
    plot = draw(tested, files=[WITHOUT, "penny"], rows=rows, row_values=values)
    assert [colour(tested, plot, 1, row) for row in range(len(values))] == expected


def test_the_best_of_a_strength_grid_is_read_for_the_next_run(tested):
    plot = draw(tested, kind="strengths", files=["penny-000002"], columns=["0.5", "1"], row_values=["1", "2"])
    assert colour(tested, plot, 0, 1) == colour_of("penny smiling <lora:penny-000002:2:0.5>")
    answer = tested.post(f"runs/{tested.run}/plots/mark", {"plot": plot["id"], "column": 0, "row": 0}).json()
    assert answer["changes"] == {"training.max_train_epochs": 1}  # Prodigy: 2 epochs × 0.5
    assert "overfit" in answer["sentences"][0]
    assert tested.get(f"runs/{tested.run}/plots").json()["plots"][0]["best"] == [0, 0]


def test_a_block_plot_leaves_out_one_block_at_a_time_and_measures(tested):
    plot = draw(tested, kind="blocks", files=["penny"], prompts=["penny"])
    assert plot["columns"]["headings"][:2] == ["All blocks", "Without BASE"] and len(plot["cells"]) == 18
    whole, other = colour(tested, plot, 0, 0), colour(tested, plot, 3, 0)
    difference = sum(abs(one - two) for one, two in zip(whole, other, strict=True)) / 3
    assert plot["changes"]["3,0"] == pytest.approx(difference)
    assert plot["columns"]["values"][3] == "IN02:0"


def test_prompts_over_fresh_seeds(tested):
    plot = draw(tested, kind="prompts", files=["penny"], columns=["3"], seed=-1)
    seeds = [int(value) for value in plot["columns"]["values"]]
    assert len(seeds) == 3 and seeds[1] == seeds[0] + 1
    assert draw(tested, kind="prompts", files=["penny"], columns=["3"], seed=-1)["seed"] != plot["seed"]


def test_stop_keeps_what_is_drawn(tested, monkeypatch):
    drawing = HeldUp("000002", monkeypatch)
    ask(tested)
    drawing.wait()
    now = tested.get(f"runs/{tested.run}/plots").json()
    assert (now["drawing"]["done"], now["drawing"]["total"], now["drawing"]["waiting"]) == (2, 8, False)
    tested.post("plots/stop")
    drawing.go()
    wait_until(lambda: tested.get(f"runs/{tested.run}/plots").json()["drawing"] is None)
    [plot] = tested.get(f"runs/{tested.run}/plots").json()["plots"]
    assert plot["state"] == "stopped" and list(plot["cells"]) == ["0,0", "1,0"]


def test_it_waits_while_the_webui_is_busy_and_can_be_called_off(tested):
    from modules import call_queue

    with call_queue.queue_lock:
        ask(tested)
        assert tested.get(f"runs/{tested.run}/plots").json()["drawing"]["waiting"]
        tested.post("plots/stop")
    wait_until(lambda: tested.get(f"runs/{tested.run}/plots").json()["drawing"] is None)
    [plot] = tested.get(f"runs/{tested.run}/plots").json()["plots"]
    assert (plot["state"], plot["cells"]) == ("stopped", {})


def test_pictures_that_the_webui_could_not_make_are_reported(tested):
    plot = draw(tested, prompts=["penny", "broken"])
    assert plot["state"] == "failed" and len(plot["cells"]) == 4
    assert plot["error"] == "The webui left out 4 of 8 images; its console says why."


@pytest.mark.parametrize(("request_", "sentence"), [
    ({"kind": "circles"}, "no plot 'circles'"), ({"prompts": [" "]}, "at least one prompt"),
    ({"files": [WITHOUT]}, "at least one LoRA file"), ({"rows": "columns"}, "Rows cannot be 'columns'"),
    ({"rows": "presets"}, "Choose the presets for the rows"),
    ({"kind": "strengths", "columns": ["much"], "row_values": ["1"]}, "'much' is not a number"),
    ({"kind": "strengths", "columns": [], "row_values": ["1"]}, "Write the strengths"),
    ({"prompts": ["penny"] * 101}, "These would be 404 images"), ({"width": 1}, "width")])
def test_what_cannot_be_drawn_is_refused_with_a_sentence(tested, request_, sentence):
    answer = ask(tested, **request_)
    assert answer.status_code == 400 and sentence in answer.json()["error"]
    assert tested.get(f"runs/{tested.run}/plots").json()["plots"] == []


def test_a_file_that_is_gone_is_named(tested):
    (tested.data / "models" / "Lora" / "penny-000002.safetensors").unlink()
    plot = draw(tested)
    assert plot["state"] == "failed" and "There is no LoRA file penny-000002" in plot["error"]


def test_a_plot_that_the_webui_did_not_live_to_finish_is_reported(tested):
    plot = draw(tested)
    file = tested.services.runs_dir / tested.run / "plots" / plot["id"] / "plot.json"
    file.write_text(json.dumps({**plot, "state": "drawing"}))
    assert tested.get(f"runs/{tested.run}/plots").json()["plots"][0]["state"] == "lost"


@pytest.mark.parametrize("where", [{"plot": "../x", "column": 0, "row": 0}, {"plot": "", "column": 9, "row": 0}])
def test_only_a_picture_that_is_there_can_be_marked(tested, where):
    draw(tested)
    answer = tested.post(f"runs/{tested.run}/plots/mark", where)
    assert answer.status_code == 400 and "no such image" in answer.json()["error"]


def test_presets_are_kept_and_a_wrong_line_changes_nothing(tab):
    before = tab.get("block-presets").json()
    assert before["presets"]["OUTX"][:3] == [1, 0, None] and before["text"] == before["default"]
    answer = tab.post("block-presets", {"text": "MINE:" + ",".join(["0.5"] * 26)}).json()
    assert answer["presets"] == {"MINE": [0.5] * 26}
    assert (tab.data / "lora_train" / "block_presets.txt").read_text().startswith("MINE:0.5,")
    wrong = tab.post("block-presets", {"text": "MINE:1,2"})
    assert wrong.status_code == 400 and "Line 1 (MINE:1,2) is not a preset" in wrong.json()["error"]
    assert tab.get("block-presets").json()["presets"] == {"MINE": [0.5] * 26}


def test_the_axes_of_the_plots_are_those_of_the_webui(webui_scripts):
    from modules import scripts

    labels = [option.label for option in scripts.scripts_txt2img.selectable_scripts[0].current_axis_options]
    assert {"Nothing", "Seed", "Prompt S/R", "Checkpoint name", EPOCH, BLOCK} <= set(labels)


def test_baking_is_a_run_of_its_own_that_leaves_a_new_file(tested):
    blocks = ",".join(["0.5"] * 17)
    for name in ("penny-000002-blocks", "penny-000002-blocks-v2"):
        answer = tested.post(f"runs/{tested.run}/bake", {"file": "penny-000002", "blocks": blocks}).json()
        assert answer["name"] == name
        run = tested.wait_for(answer["id"], "finished")
        assert run["command"] == "bake" and run["job"]["blocks"] == blocks
        assert (tested.data / "models" / "Lora" / f"{name}.safetensors").is_file()


@pytest.mark.parametrize(("file", "blocks", "sentence"), [
    ("other", ",".join(["1"] * 17), "has no file 'other'"), ("penny", "1,2", "It has 2 numbers"),
    ("penny", ",".join(["X"] * 17), "Write a number in place of X")])
def test_what_cannot_be_baked_is_refused(tested, file, blocks, sentence):
    answer = tested.post(f"runs/{tested.run}/bake", {"file": file, "blocks": blocks})
    assert answer.status_code == 400 and sentence in answer.json()["error"]
