"""Regularization pictures drawn by the webui: each caption at the training's size and seed, under the same name."""

from __future__ import annotations

from PIL import Image

from ..conftest import HeldUp, make_dataset, painted, wait_until


def form(tab, **dataset):
    given = {"train_data_dir": str(tab.dataset), "activation_tag": "penny", "resolution": "128x64", **dataset}
    return {"dataset": given, "training": {"seed": 42}}


def ended(tab):
    return wait_until(lambda: (state := tab.get("regularization").json())["state"] != "drawing" and state)


def test_each_picture_gets_one_under_its_name_without_the_activation_tag(make_tab, monkeypatch):
    from modules import processing

    tab = make_tab(clip_skip=2)
    seen = []
    original = processing.process_images
    monkeypatch.setattr(processing, "process_images", lambda p: seen.append(p) or original(p))
    assert tab.post("regularization", {"job": form(tab)}).json()["total"] == 4
    state = ended(tab)
    assert (state["state"], state["done"], state["folder"]) == ("finished", 4, str(tab.dataset / "reg"))
    for number in range(4):
        prompt = f"smiling, number {number}"
        picture = Image.open(tab.dataset / "reg" / f"{number}.png")
        assert (picture.size, picture.getpixel((1, 1))) == ((128, 64), painted(prompt, 42))
        assert (tab.dataset / "reg" / f"{number}.txt").read_text() == prompt
    assert {p.sampler_name for p in seen} == {"DDIM"}
    assert {p.override_settings["CLIP_stop_at_last_layers"] for p in seen} == {2}


def test_with_the_tag_the_prompt_is_the_caption(tab):
    tab.post("regularization", {"job": form(tab), "with_tag": True})
    ended(tab)
    assert (tab.dataset / "reg" / "2.txt").read_text() == "penny, smiling, number 2"


def test_folders_of_concepts_are_kept_and_what_is_there_stays(tab):
    folder = tab.dataset.parent / "concepts"
    folder.mkdir()
    make_dataset(folder / "10_penny", 2)
    make_dataset(folder / "2_tom", 1)
    there = folder / "reg" / "10_penny" / "1.png"
    there.parent.mkdir(parents=True)
    there.write_bytes(b"mine")
    assert tab.post("regularization", {"job": form(tab, train_data_dir=str(folder))}).json()["total"] == 2
    ended(tab)
    made = sorted(str(path.relative_to(folder / "reg")) for path in (folder / "reg").rglob("*.png"))
    assert made == ["10_penny/0.png", "10_penny/1.png", "2_tom/0.png"]
    assert there.read_bytes() == b"mine"
    again = tab.post("regularization", {"job": form(tab, train_data_dir=str(folder))})
    assert again.status_code == 400 and "already has its regularization image" in again.json()["error"]


def test_stop_keeps_what_is_drawn_and_the_rest_can_be_drawn_later(tab, monkeypatch):
    drawing = HeldUp("number 2", monkeypatch)
    tab.post("regularization", {"job": form(tab)})
    drawing.wait()
    assert "are already being generated" in tab.post("regularization", {"job": form(tab)}).json()["error"]
    tab.post("regularization/stop")
    drawing.go()
    assert (ended(tab)["state"], ended(tab)["done"]) == ("stopped", 2)
    assert tab.post("regularization", {"job": form(tab)}).json()["total"] == 2
    assert ended(tab)["state"] == "finished"


def test_what_goes_wrong_is_reported(tab, monkeypatch):
    from modules import processing

    def broken(_):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(processing, "process_images", broken)
    other = {**form(tab), "base": {"checkpoint": "/models/other.safetensors"}}
    refused = tab.post("regularization", {"job": other})
    assert "trains on other.safetensors, but the webui would generate with mini.safetensors" in refused.json()["error"]
    tab.post("regularization", {"job": form(tab)})
    state = ended(tab)
    assert state["state"] == "failed" and "CUDA out of memory" in state["error"]
    nowhere = tab.post("regularization", {"job": form(tab, train_data_dir="/nowhere")})
    assert nowhere.status_code == 400 and "There is no folder /nowhere" in nowhere.json()["error"]


def test_a_picture_that_is_interrupted_in_the_webui_is_not_kept(tab, monkeypatch):
    from modules import processing, shared

    original = processing.process_images

    def interrupted(p):
        if "number 1" in p.prompt:
            shared.state.interrupt()
        return original(p)

    monkeypatch.setattr(processing, "process_images", interrupted)
    tab.post("regularization", {"job": form(tab)})
    assert (ended(tab)["state"], ended(tab)["done"]) == ("stopped", 1)
    assert [path.name for path in sorted((tab.dataset / "reg").glob("*.png"))] == ["0.png"]
