"""What a LoRA file says of itself is changed in the page; the weights stay the same bits."""

from __future__ import annotations

import json

import pytest

from lib_lora_train.files.safetensors_header import read_safetensors_header
from tests.standin.lora_file import write_lora
from tests.ui.test_nonsense import NONSENSE

BEFORE = {"ss_epoch": "3", "modelspec.title": "old", "sshs_model_hash": "abc", "modelspec.hash_sha256": "0xabc",
          "ss_tag_frequency": json.dumps({"10_penny": {"penny": 20}}), "long": "x" * 30_000}


@pytest.fixture
def lora(tab):
    return write_lora(tab.services.host.lora_dir / "below" / "a.safetensors", BEFORE)


def metadata(lora):
    return dict(read_safetensors_header(lora).metadata)


def weights(lora):
    data = lora.read_bytes()
    return data[8 + int.from_bytes(data[:8], "little"):]


def change(tab, **changes):
    return tab.post("tools/metadata", {"name": "below/a", "changes": changes})


def test_texts_and_entries_are_changed_and_the_weights_stay(tab, lora):
    before = weights(lora)
    shown = tab.get("tools/metadata", name="below/a").json()
    assert shown["values"]["title"] == "old" and shown["problem"] == ""
    fixed = {entry["key"]: entry["fixed"] for entry in shown["entries"]}
    assert fixed["ss_epoch"] == "" and "weights" in fixed["sshs_model_hash"] and "longer" in fixed["long"]
    answer = change(tab, title="Penny", trigger_phrase="penny", training_comment="ü\n2", ss_epoch=None, mine="yes")
    assert answer.status_code == 200, answer.text
    assert answer.json()["values"]["trigger_phrase"] == "penny"
    assert metadata(lora) == {key: value for key, value in BEFORE.items() if key != "ss_epoch"} | {
        "modelspec.title": "Penny", "modelspec.trigger_phrase": "penny", "ss_training_comment": "ü\n2", "mine": "yes"}
    assert weights(lora) == before
    assert change(tab, title="", mine="").status_code == 200
    assert not {"modelspec.title", "mine"} & {*metadata(lora)}


def test_nothing_new_writes_nothing(tab, lora):
    before = lora.stat()
    assert change(tab, title="old", author="").status_code == 200
    assert (lora.stat().st_ino, lora.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("changes, words", [
    ({"sshs_model_hash": "x"}, "calculated from the weights"), ({"modelspec.hash_sha256": None}, "calculated"),
    ({"__metadata__": "x"}, "calculated"), ({"long": "x"}, "longer than 20000"), ({"title": "x" * 30_000}, "title has"),
    ({" title": "x"}, "name of an entry"), ({"": "x"}, "name of an entry"), ({"x" * 300: "x"}, "name of an entry"),
    ({"ss_tag_frequency": "{broken"}, "not valid JSON"), ({"title": "\ud800"}, "title has to be"),
    ({"\ud800": "x"}, "name of an entry"), ({f"key{number}": "x" for number in range(501)}, "entries")])
def test_what_cannot_be_written_is_a_sentence(tab, lora, changes, words):
    before = lora.read_bytes()
    answer = tab.post("tools/metadata", {"name": "below/a", "changes": changes})
    assert answer.status_code == 400 and words in answer.json()["error"], answer.text
    assert lora.read_bytes() == before


def test_files_that_cannot_be_changed(tab, lora):
    lora.write_bytes(b"PK\3\4")
    assert "damaged" in tab.get("tools/metadata", name="below/a").json()["problem"]
    assert "a.safetensors is damaged" in change(tab, title="x").json()["error"]
    assert lora.read_bytes() == b"PK\3\4"
    lora.with_suffix(".pt").write_bytes(b"x")
    assert "old kind" in tab.get("tools/metadata", name="below/a.pt").json()["problem"]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "", "\0", "below", "nowhere"])
def test_only_loras_of_the_webui(tab, lora, name):
    assert tab.get("tools/metadata", name=name).status_code == 400
    assert tab.post("tools/metadata", {"name": name, "changes": {"title": "x"}}).status_code == 400


@pytest.mark.parametrize("value", NONSENSE)
def test_nonsense_is_no_server_error(tab, lora, value):
    for body in ({"name": value, "changes": {"title": "x"}}, {"name": "below/a", "changes": value},
                 {"name": "below/a", "changes": {"title": value}}, {"name": "below/a", "changes": {"ss_epoch": value}}):
        assert tab.post("tools/metadata", body).status_code < 500, body
