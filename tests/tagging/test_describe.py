"""Descriptions in captions: with tags or without, once, undoable, and never over what was edited."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_lora_train.captions.descriptions import FILE_NAME, keep_descriptions, read_descriptions
from lib_lora_train.captions.journal.journal import Journal
from lib_lora_train.errors import DatasetError
from lib_lora_train.runs.control import RunControl
from lib_lora_train.tagging.compose import composed, with_prose

from .conftest import Reports, captions_of, make_dataset, tag, tag_job

TEXTS = {"red_1.png": "a red square, and nothing else.", "blue_1.png": "a blue square.", "green_1.png": "green."}
BEFORE = {"red_1": None, "blue_1": None, "green_1": "mine"}


@pytest.mark.parametrize(("tags", "place", "expected"), [
    (["1girl", "hat"], "before", ["a girl, standing", "1girl", "hat"]),
    (["1girl", "hat"], "after", ["1girl", "hat", "a girl, standing."]),
    (["1girl", "hat"], "instead", ["a girl, standing."]), ([], "before", ["a girl, standing."]),
])
def test_where_the_sentence_stands(tags, place, expected):
    assert with_prose(tags, " a girl,\n standing. ", place) == expected
    assert with_prose(tags, " ", place) == tags


@pytest.mark.parametrize(("text", "mode", "expected"), [
    ("", "if-empty", "penny, a girl, standing, 1girl"), ("mine", "if-empty", "mine"),
    ("mine", "append", "penny, mine, a girl, standing, 1girl"),
    ("mine", "prepend", "penny, a girl, standing, 1girl, mine"),
    ("penny, a girl, standing, hat", "append", "penny, a girl, standing, hat, 1girl"),
    ("penny, A girl, standing.", "append", "penny, A girl, standing., 1girl"), ("mine", "confidences-only", "mine"),
    ("mine", "overwrite", "penny, a girl, standing, 1girl"),
])
def test_a_caption_with_a_sentence_in_every_mode(text, mode, expected):
    parts = with_prose(["1girl"], "a girl, standing.", "before")
    assert composed(text, parts, ["penny"], mode, ", ") == expected
    again = composed(expected, parts, ["penny"], "append" if mode == "append" else mode, ", ")
    assert mode == "prepend" or again == expected  # nothing is added twice


@pytest.mark.parametrize(("place", "expected"), [
    ("before", {"red_1": "penny, a red square, and nothing else, penny (series), red thing, ^_^",
                "blue_1": "penny, a blue square, blue thing, ^_^"}),
    ("after", {"red_1": "penny, penny (series), red thing, ^_^, a red square, and nothing else.",
               "blue_1": "penny, blue thing, ^_^, a blue square."}),
    ("instead", {"red_1": "penny, a red square, and nothing else.", "blue_1": "penny, a blue square."}),
])
def test_the_webuis_descriptions_are_put_into_captions_and_one_undo_takes_them_back(tmp_path: Path, colour_tagger: Path,
                                                                                    place, expected):
    folder = make_dataset(tmp_path / "set", BEFORE)
    keep_descriptions(folder, TEXTS)
    model = colour_tagger if place != "instead" else "wd-vit-tagger-v3"  # which is not there, and not needed
    reported = tag(tag_job(folder, model, prose__captioner="interrogator", prose__place=place,
                           tags__always_first_tags=["penny"]), tmp_path / "r" / "tags.jsonl")
    last = reported.last
    assert (last["event"], last["written"], last["had_captions"]) == ("finished", 2, 1), last
    assert reported.last["model"] == ("model and " if place != "instead" else "") + "the webui's interrogator"
    assert captions_of(folder) == {**expected, "green_1": "mine"}
    Journal(folder.resolve()).undo()
    assert captions_of(folder) == BEFORE


def test_an_image_without_a_description_is_left_alone_and_named(tmp_path: Path, colour_tagger: Path):
    folder = make_dataset(tmp_path / "set", BEFORE)
    keep_descriptions(folder, {"red_1.png": "red."})
    reported = tag(tag_job(folder, colour_tagger, prose__captioner="interrogator"), tmp_path / "tags.jsonl")
    assert captions_of(folder)["blue_1"] is None
    assert captions_of(folder)["red_1"].startswith("red, ")
    assert any("1 image has no description" in text and "blue_1.png" in text for text in reported.warnings)


def test_a_stopped_run_writes_whole_captions_only_and_resumes_with_the_rest(tmp_path: Path, colour_tagger: Path):
    folder = make_dataset(tmp_path / "set", {f"red_{n}": None for n in range(6)})
    keep_descriptions(folder, {f"red_{n}.png": f"square {n}" for n in range(6)})
    control, reported = RunControl(tmp_path / "control"), Reports()

    def stop(done: int) -> None:
        if reported.phases[-1].startswith("Describing") and done == 3:
            control.request("stop")

    reported.on_progress = stop
    job = tag_job(folder, colour_tagger, prose__captioner="interrogator", tagger__decoding_threads=1)
    tag(job, tmp_path / "tags.jsonl", control, reported)
    assert reported.last["event"] == "stopped"
    written = {name: text for name, text in captions_of(folder).items() if text}
    assert len(written) == reported.last["written"] == 3
    assert all(text.startswith(f"square {name[-1]}, ") for name, text in written.items())
    again = tag(job, tmp_path / "tags.jsonl")
    assert again.last["event"] == "finished"
    assert all(text.startswith(f"square {name[-1]}, ") for name, text in captions_of(folder).items())


def test_a_description_counts_only_as_long_as_its_image_is_the_same(tmp_path: Path):
    folder = make_dataset(tmp_path / "set", BEFORE)
    keep_descriptions(folder, TEXTS)
    make_dataset(folder, {"red_1": None}, size=(30, 30))
    (folder / "green_1.png").unlink()
    assert read_descriptions(folder) == {"blue_1.png": "a blue square."}
    keep_descriptions(folder, {"red_1.png": "new"})
    assert read_descriptions(folder) == {"blue_1.png": "a blue square.", "red_1.png": "new"}


@pytest.mark.parametrize("content", [b"[", b"[1]", b"\xff"])
def test_damaged_descriptions_are_named(tmp_path: Path, content: bytes):
    folder = make_dataset(tmp_path / "set", BEFORE)
    keep_descriptions(folder, TEXTS)
    (folder / ".lora_train" / FILE_NAME).write_bytes(content)
    with pytest.raises(DatasetError, match=r"descriptions\.json.*Delete it"):
        read_descriptions(folder)
