"""The card of a LoRA in the webui: what the user changes is written, and what others wrote there stays."""

from __future__ import annotations

import base64
import io
import json

import pytest
from PIL import Image, PngImagePlugin

from tests.standin.lora_file import write_lora
from tests.ui.test_nonsense import NONSENSE

OTHERS = {"activation text": "penny", "preferred weight": 0.8, "civitai": {"id": 7, "stats": [1, 2.5, None]},
          "ä": "ü", "notes": "first"}


@pytest.fixture
def lora(tab):
    return write_lora(tab.services.host.lora_dir / "below" / "a.v1.safetensors", {"modelspec.trigger_phrase": "pen"})


def change(tab, **changes):
    return tab.post("tools/card", {"name": "below/a.v1", "changes": changes})


def encoded(picture, ending="PNG", **options):
    data = io.BytesIO()
    picture.save(data, ending, **options)
    return base64.b64encode(data.getvalue()).decode()


def test_what_other_programs_wrote_stays(tab, lora):
    file = lora.with_suffix(".json")
    file.write_text(json.dumps(OTHERS), encoding="utf-8")
    card = tab.get("tools/card", name="below/a.v1").json()
    assert card["values"]["preferred_weight"] == "0.8" and card["kept"] == ["civitai", "ä"]
    answer = change(tab, activation_text="penny, girl", preferred_weight=0.65)
    assert answer.status_code == 200, answer.text
    written = json.loads(file.read_text(encoding="utf-8"))
    assert written == {**OTHERS, "activation text": "penny, girl", "preferred weight": 0.65}
    assert list(written) == list(OTHERS)
    assert tab.post("tools/try", {"name": "below/a.v1"}).json()["prompt"] == "<lora:a.v1:0.65> penny, girl"


def test_a_new_card(tab, lora):
    assert change(tab, notes="good at 0.7", sd_version="SDXL").json()["values"]["sd_version"] == "SDXL"
    assert json.loads(lora.with_suffix(".json").read_text()) == {"notes": "good at 0.7", "sd version": "SDXL"}
    assert tab.post("tools/try", {"name": "below/a.v1"}).json()["prompt"] == "<lora:a.v1:1> pen"


@pytest.mark.parametrize("content", ["{\"notes\": ", "[1, 2]", "", "\0", "{\"x\": NaN}"])
def test_a_file_that_cannot_be_read_is_left_as_it_is(tab, lora, content):
    file = lora.with_suffix(".json")
    file.write_text(content)
    assert "cannot be read" in tab.get("tools/card", name="below/a.v1").json()["problem"]
    answer = change(tab, notes="x")
    assert answer.status_code == 400 and "a.v1.json" in answer.json()["error"]
    assert file.read_text() == content


@pytest.mark.parametrize("changes, words", [
    ({"preferred_weight": "much"}, "preferred_weight is 'much'"), ({"preferred_weight": 1e308}, "preferred_weight"),
    ({"preferred_weight": True}, "preferred_weight"), ({"notes": 7}, "notes has to be"),
    ({"notes": "x" * 30_000}, "notes has to be"), ({"sd_version": "SD9"}, "sd_version is 'SD9'"),
    ({"civitai": "x"}, "not a field of the card")])
def test_values_that_cannot_be_used(tab, lora, changes, words):
    answer = change(tab, **changes)
    assert answer.status_code == 400 and words in answer.json()["error"]
    assert not lora.with_suffix(".json").exists()


def test_a_picture_becomes_the_preview_and_earlier_ones_are_kept(tab, lora):
    earlier = {lora.with_suffix(".png"): b"one", lora.with_name("a.v1.preview.png"): b"two"}
    for path, content in earlier.items():
        path.write_bytes(content)
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a cat\nSteps: 20")
    picture = encoded(Image.new("RGB", (3000, 1500), "red"), pnginfo=info)
    answer = tab.post("tools/preview", {"name": "below/a.v1", "picture": f"data:image/png;base64,{picture}"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["kept"] == ["a.v1.png.before", "a.v1.preview.png.before"]
    assert [(lora.parent / name).read_bytes() for name in answer.json()["kept"]] == [b"one", b"two"]
    with Image.open(lora.with_suffix(".png")) as shown:
        assert (shown.size, shown.info["parameters"]) == ((1024, 512), "a cat\nSteps: 20")
    again = tab.post("tools/preview", {"name": "below/a.v1", "picture": encoded(Image.new("L", (64, 64)), "JPEG")})
    assert again.json()["kept"] == ["a.v1.png.before-2"]
    assert tab.get("tools/preview", name="below/a.v1").headers["content-type"] == "image/png"


@pytest.mark.parametrize("picture", ["", "no base64!", base64.b64encode(b"no picture").decode(), "AAAA", "ä"])
def test_a_file_that_is_no_picture_changes_nothing(tab, lora, picture):
    lora.with_suffix(".png").write_bytes(b"one")
    answer = tab.post("tools/preview", {"name": "below/a.v1", "picture": picture})
    assert answer.status_code == 400 and "cannot be used as an image" in answer.json()["error"]
    assert lora.with_suffix(".png").read_bytes() == b"one"


@pytest.mark.parametrize("value", NONSENSE)
def test_nonsense_is_no_server_error(tab, lora, value):
    for route, body in (("card", {"name": value, "changes": {"notes": "x"}}),
                        ("card", {"name": "below/a.v1", "changes": value}),
                        ("card", {"name": "below/a.v1", "changes": {"notes": value, "preferred_weight": value}}),
                        ("preview", {"name": value, "picture": "AAAA"}), ("try", {"name": value}),
                        ("preview", {"name": "below/a.v1", "picture": value})):
        assert tab.post(f"tools/{route}", body).status_code < 500, (route, body)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "", "\0", "below", "nowhere"])
def test_only_loras_of_the_webui(tab, lora, name):
    assert tab.get("tools/card", name=name).status_code == 400
    assert tab.get("tools/preview", name=name).status_code == 400
