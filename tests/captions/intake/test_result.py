"""What goes to the webui's tabs and comes back: sizes, marked names, pairs, and generation parameters."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import gradio
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lib_lora_train.captions.editor.pairs import Pairs
from lib_lora_train.pictures.origin import edited_of, origin_of
from lib_lora_train.ui.captions.intake.exchange_routes import size_to_draw
from lib_lora_train.ui.send_buttons import image_of

from ..conftest import Dataset
from .test_intake import everything, in_trash, incoming


def result(seed: int = 1) -> bytes:
    info, data = PngInfo(), io.BytesIO()
    info.add_text("parameters", "penny, hat\nSteps: 20")
    Image.new("RGB", (48, 48), (seed, 90, 30)).save(data, "PNG", pnginfo=info)
    return data.getvalue()


@pytest.mark.parametrize(("name", "origin", "source"), [
    ("x-edit.png", "edit", "x"), ("X-Edit-12.PNG", "edit", "x"), ("a-made.png", "made", None),
    ("a-made-2.jpg", "made", None),
    ("x-edit-made.png", "made", None), ("x-edit-edit.png", "edit", "x-edit"), ("edit.png", "", None),
    ("-edit.png", "", None), ("x-edited.png", "", None), ("credit-edit-card.png", "", None), ("10-2.png", "", None)])
def test_a_name_says_what_an_image_is(name: str, origin: str, source: str | None):
    assert (origin_of(name), edited_of(name)) == (origin, source)


def test_pairs_survive_moves_to_another_folder_and_are_not_guessed():
    pairs = Pairs()
    for path in ("on/x.png", "off/x-edit.png", "on/y.jpg", "on/y-edit.png", "on/y-edit-2.png", "off/y.png",
                 "off/z-edit.png"):
        pairs.add(path)
    assert pairs.source_of("off/x-edit.png") == "on/x.png" and pairs.edits_of("on/x.png") == ["off/x-edit.png"]
    assert pairs.edits_of("on/y.jpg") == ["on/y-edit.png", "on/y-edit-2.png"] and pairs.edits_of("off/y.png") == []
    assert pairs.source_of("off/z-edit.png") == "" and pairs.source_of("on/x.png") == ""
    pairs.remove("on/y-edit.png")
    pairs.add("off/y-edit.png")
    assert pairs.edits_of("off/y.png") == ["off/y-edit.png"] and pairs.edits_of("on/y.jpg") == ["on/y-edit-2.png"]
    pairs.add("b/x.png")
    assert pairs.source_of("off/x-edit.png") == ""


def test_a_result_goes_beside_its_source_with_its_own_caption_and_back_into_the_trash(dataset: Dataset):
    before = everything(dataset.folder)
    done = dataset.get("result", intake=incoming(dataset, {"0001-7.png": result()}), source="2_cat/e.png",
                       caption=" penny, dog \n")
    after = everything(dataset.folder)
    assert after == {**before, "2_cat/e-edit.png": result(), "2_cat/e-edit.txt": b"penny, dog"}
    assert done["label"] == "Added 2_cat/e-edit.png"
    facts = dataset.get("picture", numbers=done["added"])
    source, = dataset.numbers("2_cat/e.png")
    assert facts["origin"] == "edit" and facts["pair"] == [{"number": source, "path": "2_cat/e.png"}]
    assert [cell["edits"] for cell in dataset.get("cells", numbers=[source, *done["added"]])["cells"]] == [True, False]
    dataset.get("result", intake=incoming(dataset, {"0002.png": result(2)}), source="2_cat/e.png")
    assert everything(dataset.folder)["2_cat/e-edit-2.png"] == result(2)
    dataset.get("move", numbers=done["added"], target="")
    assert dataset.get("picture", numbers=dataset.numbers("e-edit.png"))["pair"][0]["path"] == "2_cat/e.png"
    for _ in range(3):
        dataset.get("undo")
    assert everything(dataset.folder) == before
    assert {"2_cat/e-edit.png", "2_cat/e-edit.txt", "2_cat/e-edit-2.png"} <= in_trash(dataset.folder)


def test_a_result_without_a_source_is_marked_and_one_for_regularization_goes_to_its_folder(dataset: Dataset):
    done = dataset.get("result", intake=incoming(dataset, {"0001-7.png": result()}), target="2_cat", caption="penny")
    assert dataset.get("picture", numbers=done["added"])["path"] == "2_cat/0001-7-made.png"
    for source, name in (("2_cat/e.png", "reg/2_cat/e.png"), ("2_cat/e.png", "reg/2_cat/e-2.png"),
                         ("a.png", "reg/a.png"), ("", "reg/0001-7.png")):
        done = dataset.get("result", intake=incoming(dataset, {"0001-7.png": result()}), source=source,
                           regularization=True, caption="girl")
        assert done["added"] == [] and done["label"] == f"Added {name}"
        assert (dataset.folder / name).read_bytes() == result()
        assert (dataset.folder / name).with_suffix(".txt").read_text() == "girl"


def test_generation_parameters_are_kept_or_dropped(dataset: Dataset):
    for keep_info, source, expected in ((True, "a.png", True), (False, "b.png", False)):
        dataset.get("result", intake=incoming(dataset, {"r.png": result()}), source=source, keep_info=keep_info)
        with Image.open(dataset.folder / f"{Path(source).stem}-edit.png") as added:
            assert ("parameters" in added.info) is expected
            assert added.convert("RGB").getpixel((3, 3)) == (1, 90, 30)


def test_what_cannot_be_added_is_said(dataset: Dataset):
    before = everything(dataset.folder)
    for files, body, words in (({"r.png": b"no image"}, {}, ""), ({"r.txt": b"x"}, {}, "Exactly one image"),
                               ({"a.png": result(1), "b.png": result(2)}, {}, "Exactly one image"),
                               ({"r.png": result()}, {"source": "gone.png"}, "no longer in the set"),
                               ({"r.png": result()}, {"source": "../x.png"}, "no longer in the set"),
                               ({"r.png": result()}, {"target": "../x"}, ""),
                               ({"r.png": result()}, {"caption": "x" * 70_000}, "64 KB")):
        answer = dataset.ask("result", intake=incoming(dataset, files), **body)
        assert answer.status_code == 400 and words in answer.json()["error"], answer.text
    assert everything(dataset.folder) == before


@pytest.mark.parametrize(("size", "trained", "drawn"), [
    ((512, 512), (512, 512), (512, 512)), ((4000, 3000), (1024, 1024), (1184, 888)),
    ((300, 900), (768, 768), (440, 1328)),
    ((64, 64), (1024, 1024), (1024, 1024)), ((8, 512), (512, 512), (64, 4096))])
def test_the_size_to_draw_at_has_the_image_s_shape_and_the_trained_number_of_pixels(size, trained, drawn):
    found = size_to_draw(*size, trained)
    assert found == drawn and all(side % 8 == 0 for side in found)
    assert abs(found[0] * found[1] / (trained[0] * trained[1]) - 1) < 0.05


def test_an_image_is_sent_upright_and_as_trained(dataset: Dataset):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 32), (200, 0, 0)).save(dataset.folder / "a.png", exif=exif)
    dataset.get("refresh")
    sent = dataset.get("send", numbers=dataset.numbers("a.png"))
    assert sent["line"] == "penny, red boots, boots, hat" and (sent["width"], sent["height"]) == (360, 728)
    assert image_of(sent["image"]).size == (32, 64)
    for numbers in ([], [0, 1], [999]):
        assert dataset.ask("send", numbers=numbers).status_code == 400


@pytest.mark.parametrize("text", ["", "data:image/png;base64,", "nonsense", "data:image/png;base64,####",
                                  "data:image/png;base64," + base64.b64encode(b"no image").decode()])
def test_what_is_no_image_is_refused_by_the_hidden_button(text: Any):
    with pytest.raises(gradio.Error, match="could not be sent"):
        image_of(text)
