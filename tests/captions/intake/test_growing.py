"""A handful of images grows: prompts that vary it, candidates drawn with its LoRA, and the chosen ones in the set."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from lib_lora_train.captions.growing import TARGETS, next_target, prompts_for, quick_repeats
from lib_lora_train.captions.intake.candidates import caption_of_prompt
from tests.ui.conftest import HeldUp, painted, wait_until

from ..conftest import Dataset
from ..sets import make_set, open_editor

GIRL = "penny, 1girl, solo, red hair, {}, black boots, simple background"


def prompts(tmp_path, captions: list[str], wanted: int = 12) -> list[str]:
    editor = open_editor(make_set(tmp_path / "set", {f"{number}.png": text for number, text in enumerate(captions)}))
    return prompts_for([editor.index.entries[number] for number in editor.order()], "penny", wanted)


def test_prompts_keep_what_images_share_and_vary_the_rest(tmp_path):
    found = prompts(tmp_path, [GIRL.format(each) for each in ("standing", "sitting, smile", "portrait, hat")])
    assert len(set(found)) == 12
    assert all(prompt.startswith("penny, 1girl, solo, red hair, black boots, ") for prompt in found)
    assert not any("hat" in prompt.split(", ") for prompt in found)
    assert all(any(kind in prompt.split(", ") for prompt in found)
               for kind in ("full body", "portrait", "sitting", "smile", "outdoors"))


@pytest.mark.parametrize(("captions", "first"), [
    (["penny, teapot, white background"] * 2, "penny, teapot, simple background"),
    (["A photo of penny in a field of flowers."], "A photo of penny in a field of flowers., simple background"),
    ([""], "penny, simple background")])
def test_things_and_prose_get_other_backgrounds_only(tmp_path, captions, first):
    assert prompts(tmp_path, captions)[0] == first


def test_targets_and_repeats_follow_the_number_of_images():
    assert [next_target(count) for count in (0, 1, 3, 6, 24, 25, 60)] == [1, 2, 4, 10, 25, 37, 90]
    assert [10 * count * quick_repeats(count) for count in TARGETS] == [300, 300, 320, 300, 300, 300, 250]
    assert quick_repeats(5000) == 1


@pytest.mark.parametrize(("prompt", "caption"), json.loads(Path(__file__).with_name("prompts.json").read_text()))
def test_the_prompt_becomes_a_caption_as_on_the_page(prompt, caption):
    assert caption_of_prompt(prompt) == caption


@pytest.fixture
def lora(dataset: Dataset) -> str:
    folder = dataset.tab.services.host.lora_dir
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "quick.safetensors").write_bytes(b"x")
    return "quick"


def drawn(dataset: Dataset, **body: object) -> dict:
    dataset.get("grow/draw", **body)
    return wait_until(lambda: (now := dataset.get("grow"))["drawing"]["state"] != "drawing" and now)


def test_candidates_are_drawn_with_the_lora_chosen_and_added_with_caption_and_weight(dataset: Dataset, lora):
    now = drawn(dataset, prompts=["penny, hat", "penny, (cat:1.1)", "penny"], lora=lora, strength=0.7, seed=5,
                resolution="128x64")
    assert now["drawing"] == {"state": "finished", "done": 3, "total": 3, "error": ""}
    assert [(one["prompt"], one["seed"]) for one in now["candidates"]] == [
        ("penny, hat", 5), ("penny, (cat:1.1)", 6), ("penny", 7)]
    first = Image.open(io.BytesIO(base64.b64decode(now["candidates"][0]["image"].partition(",")[2])))
    assert first.size == (128, 64)
    assert all(abs(one - other) < 9 for one, other in zip(
        first.getpixel((1, 1)), painted("penny, hat <lora:quick:0.7>", 5), strict=True))
    assert [one["image"] for one in dataset.get("grow", known=["000001", "000002", "000003"])["candidates"]] == [""] * 3
    before = now["images"]
    done = dataset.get("grow/add", names=["000002", "000001"], weight=0.5)
    assert done["label"] == "Added 2 generated images" and len(done["added"]) == 2
    cells = dataset.get("cells", numbers=done["added"])["cells"]
    assert [(cell["name"], cell["text"], cell["weight"]) for cell in cells] == [
        ("set-made.png", "penny, cat", 0.5), ("set-made-2.png", "penny, hat", 0.5)]
    after = dataset.get("grow")
    assert (after["images"], after["made"], [one["name"] for one in after["candidates"]]) == (before + 2, 2, ["000003"])
    dataset.get("undo")
    assert dataset.get("grow")["images"] == before and not list(dataset.folder.glob("set-made*"))
    assert dataset.get("grow/send", names=["000003"])["line"] == "penny"
    assert dataset.get("grow/discard", names=["000003"]) == {"left": 0}


def test_a_stop_keeps_what_is_drawn_and_numbers_go_on(dataset: Dataset, monkeypatch):
    holding = HeldUp("second", monkeypatch)
    dataset.get("grow/draw", prompts=["first", "second", "third"])
    holding.wait()
    assert "already being generated" in dataset.ask("grow/draw", prompts=["x"]).json()["error"]
    dataset.get("grow/stop")
    holding.go()
    now = wait_until(lambda: (now := dataset.get("grow"))["drawing"]["state"] != "drawing" and now)
    assert now["drawing"]["state"] == "stopped" and len(now["candidates"]) == now["drawing"]["done"] == 1
    again = drawn(dataset, prompts=["fourth"])
    assert [one["name"] for one in again["candidates"]] == ["000001", "000002"], again["drawing"]


@pytest.mark.parametrize(("route", "body", "words"), [
    ("grow/draw", {"prompts": []}, "Request 1 to 64"), ("grow/draw", {"prompts": ["x"] * 65}, "At most 64"),
    ("grow/draw", {"prompts": ["x"], "lora": "../../gone"}, "no such LoRA"),
    ("grow/draw", {"prompts": ["x"], "strength": 9}, "from 0 to 2"),
    ("grow/draw", {"prompts": ["x"], "steps": 0}, "1 to 150"),
    ("grow/draw", {"prompts": ["x"], "resolution": "huge"}, "resolution"),
    ("grow/add", {"names": []}, "No candidate"), ("grow/add", {"names": ["../a"]}, "any more"),
    ("grow/add", {"names": ["000009"]}, "any more"), ("grow/discard", {"names": ["000001/.."]}, "any more"),
    ("grow/add", {"names": ["000001"], "weight": 0}, "out of range")])
def test_what_cannot_be_done_is_said_and_changes_nothing(dataset: Dataset, route, body, words):
    answer = dataset.ask(route, **body)
    assert answer.status_code == 400 and words in answer.json()["error"], answer.text
    assert json.loads(dataset.ask("grow").text)["images"] == 5
