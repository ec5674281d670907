"""Small images are upscaled by the webui, one after the other, in place or as new ones, and undone in one step."""

from __future__ import annotations

import io
import threading
from typing import Any

import pytest
from PIL import Image

from lib_lora_train.captions.editor.editor import CaptionEditor
from lib_lora_train.captions.intake.upscaled import factor_for
from tests.ui.conftest import wait_until

from ..conftest import Dataset
from ..sets import save_picture
from ..test_routes import wait_for_sizes
from .test_intake import everything, in_trash


def upscale(dataset: Dataset, **body: Any) -> dict[str, Any]:
    """Start, and wait until it has ended."""
    wait_for_sizes(dataset)
    dataset.get("upscale", **{"upscaler": "Nearest", **body})
    return wait_until(lambda: (state := dataset.get("upscale/state"))["state"] != "running" and state)


def size(dataset: Dataset, name: str) -> tuple[int, int]:
    with Image.open(dataset.folder / name) as picture:
        return picture.size


@pytest.mark.parametrize("sides", [(64, 64), (300, 200), (511, 333), (1000, 90), (77, 1201)])
@pytest.mark.parametrize("trained", [(512, 512), (1024, 1024), (768, 512)])
def test_an_image_grows_to_the_trained_number_of_pixels_and_not_less(sides: tuple[int, int], trained: tuple[int, int]):
    factor = factor_for(*sides, trained)
    pixels = trained[0] * trained[1]
    if factor is None:
        assert sides[0] * sides[1] > pixels * 0.96
        return
    grown = [int(side * factor) // 8 * 8 for side in sides]  # as the webui rounds
    assert pixels <= grown[0] * grown[1] <= pixels * 1.25


def test_large_images_are_left_alone_and_none_becomes_too_large_to_open():
    assert factor_for(2000, 2000, (512, 512)) is None and factor_for(512, 512, (512, 512)) is None
    assert factor_for(3000, 3000, (512, 512), 4.0) is None and factor_for(512, 512, (512, 512), 2.0) == pytest.approx(2)


def test_images_are_upscaled_in_place_with_their_originals_in_the_trash_and_undone(dataset: Dataset):
    save_picture(dataset.folder / "x.jpg", 100, 60, seed=7)
    (dataset.folder / "x.txt").write_text("x")
    save_picture(dataset.folder / "large.png", 600, 600)
    dataset.get("refresh")
    wait_for_sizes(dataset)
    before = everything(dataset.folder)
    numbers = dataset.numbers("a.png", "2_cat/e.png", "x.jpg", "large.png")
    plan = dataset.get("upscale/plan", numbers=numbers)
    assert (plan["images"], plan["of"], plan["size"]) == (3, 4, [512, 512]) and "Nearest" in plan["upscalers"]
    assert "None" not in plan["upscalers"]
    done = upscale(dataset, numbers=numbers)
    assert (done["state"], done["done"], done["label"]) == ("finished", 3, "Upscaled 3 images")
    after = everything(dataset.folder)
    assert set(after) == set(before) - {"x.jpg"} | {"x.png"}
    assert size(dataset, "a.png") == (512, 512) and size(dataset, "x.png") == (664, 400)
    assert after["x.txt"] == b"x" and in_trash(dataset.folder) >= {"a.png", "2_cat/e.png", "x.jpg"}
    with Image.open(dataset.folder / "a.png") as grown, Image.open(io.BytesIO(before["a.png"])) as original:
        assert grown.tobytes() == original.resize((512, 512), Image.Resampling.NEAREST).tobytes()
    dataset.get("undo")
    assert everything(dataset.folder) == before
    dataset.get("redo")
    assert everything(dataset.folder) == after


def test_images_are_upscaled_as_new_ones_with_their_captions_and_transparency(dataset: Dataset):
    Image.new("RGBA", (40, 40), (200, 10, 10, 128)).save(dataset.folder / "a.png")
    dataset.get("refresh")
    before = everything(dataset.folder)
    done = upscale(dataset, numbers=dataset.numbers("a.png", "d.png"), factor=2, in_place=False)
    assert done["label"] == "Upscaled 2 images as new"
    after = everything(dataset.folder)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"a-upscaled.png", "a-upscaled.txt", "d-upscaled.png"}
    assert after["a-upscaled.txt"] == before["a.txt"]
    with Image.open(dataset.folder / "a-upscaled.png") as grown:
        assert grown.mode == "RGBA" and grown.size == (80, 80) and grown.getpixel((9, 9))[3] == 128


def test_a_failure_and_a_damaged_image_are_said_and_nothing_is_lost(dataset: Dataset):
    wait_for_sizes(dataset)
    before = everything(dataset.folder)
    done = upscale(dataset, numbers=dataset.numbers("a.png"), upscaler="broken")
    assert done["state"] == "failed" and "CUDA out of memory" in done["error"]
    assert everything(dataset.folder) == before
    data = before["b.png"]
    (dataset.folder / "b.png").write_bytes(data[:len(data) // 2])
    done = upscale(dataset, numbers=dataset.numbers("b.png", "d.png"))
    assert done["state"] == "finished" and "b.png" in done["left"][0] and done["label"] == "Upscaled 1 image"


def test_a_name_that_is_taken_is_left_alone(dataset: Dataset):
    save_picture(dataset.folder / "a.jpg", 60, 60, seed=9)
    dataset.get("refresh")
    before = everything(dataset.folder)
    done = upscale(dataset, numbers=dataset.numbers("a.jpg", "b.png"))
    assert done["left"] == ["a.jpg was left as it is, since a.png already exists."]
    assert {name: everything(dataset.folder)[name] for name in ("a.png", "a.jpg")} == {
        name: before[name] for name in ("a.png", "a.jpg")}


def test_an_image_that_was_added_just_now_is_upscaled_too(dataset: Dataset, monkeypatch: pytest.MonkeyPatch):
    """While its size is being read in the background, which reading of an earlier state must not end."""
    wait_for_sizes(dataset)
    read, second, go_on = CaptionEditor.read_sizes, threading.Event(), threading.Event()
    begun, ended = [], []

    def read_late(editor: CaptionEditor) -> None:
        begun.append(len(begun))
        if len(begun) == 1:
            second.wait(60)
        else:
            second.set()
            go_on.wait(60)
        read(editor)
        ended.append(len(begun))

    monkeypatch.setattr(CaptionEditor, "read_sizes", read_late)
    save_picture(dataset.folder / "new.png", 80, 80, seed=5)
    dataset.get("refresh")  # reads its size
    wait_until(lambda: begun)
    save_picture(dataset.folder / "newer.png", 80, 80, seed=6)
    (dataset.folder / "no.png").write_bytes(b"no image")
    dataset.get("refresh")  # reads the sizes of these, for as long as the test wants
    wait_until(lambda: ended)  # the first
    assert not dataset.get("view")["sizes_ready"]
    numbers = dataset.numbers("newer.png", "no.png")
    assert dataset.get("upscale/plan", numbers=numbers)["images"] == 1
    dataset.get("upscale", upscaler="Nearest", numbers=numbers)
    done = wait_until(lambda: (state := dataset.get("upscale/state"))["state"] != "running" and state)
    assert done["label"] == "Upscaled 1 image" and size(dataset, "newer.png") == (512, 512)
    assert done["left"] == ["no.png was left as it is, since its size cannot be read."]
    go_on.set()
    wait_for_sizes(dataset)
    refused = dataset.ask("upscale", upscaler="Nearest", numbers=dataset.numbers("no.png"))
    assert refused.status_code == 400 and "no.png cannot be read" in refused.json()["error"]


def test_what_is_done_is_kept_when_it_is_stopped(dataset: Dataset, monkeypatch: pytest.MonkeyPatch):
    from modules import upscaler

    original = upscaler.Upscaler.upscale

    def stop_at_the_second(self: Any, img: Any, scale: float, selected_model: Any = None) -> Any:
        if dataset.get("upscale/state")["done"] == 1:
            dataset.get("upscale/stop")
        return original(self, img, scale, selected_model)

    monkeypatch.setattr(upscaler.Upscaler, "upscale", stop_at_the_second)
    done = upscale(dataset, numbers=dataset.numbers("a.png", "b.png", "c.png"))
    assert (done["state"], done["done"], done["label"]) == ("stopped", 1, "Upscaled 1 image")
    assert size(dataset, "a.png") == (512, 512) and size(dataset, "b.png") == (64, 64)


@pytest.mark.parametrize(("body", "words"), [
    ({"upscaler": "R-ESRGAN"}, "no upscaler"), ({"upscaler": ""}, "no upscaler"), ({"numbers": []}, "large enough"),
    ({"factor": 100}, "factor"), ({"numbers": [999]}, "large enough"), ({"factor": -1}, "factor")])
def test_what_cannot_be_upscaled_is_said(dataset: Dataset, body: dict[str, Any], words: str):
    wait_for_sizes(dataset)
    answer = dataset.ask("upscale", **{"numbers": dataset.numbers("a.png"), "upscaler": "Nearest", **body})
    assert answer.status_code == 400 and words in answer.json()["error"], answer.text


def test_a_webui_that_cannot_be_driven_says_so(dataset: Dataset, monkeypatch: pytest.MonkeyPatch):
    wait_for_sizes(dataset)
    monkeypatch.setattr(dataset.tab.services.drawings, "new_drawer", lambda: None)
    assert "Only AUTOMATIC1111" in dataset.get("upscale/plan", numbers=[0])["problem"]
    answer = dataset.ask("upscale", numbers=dataset.numbers("a.png"), upscaler="Nearest")
    assert answer.status_code == 400 and "Only AUTOMATIC1111" in answer.json()["error"]
