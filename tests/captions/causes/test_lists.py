"""Which images are behind a thing that a LoRA draws unasked, with planted confidences, and names for what is marked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_lora_train.captions.causes.lists import TagCause, cause_of, counts_of
from lib_lora_train.captions.causes.tags import named_tags
from lib_lora_train.captions.editor.editor import CaptionEditor
from lib_lora_train.captions.editor.weights import set_weights

from ..sets import make_set, names, numbers, open_editor

PEOPLE = ["penny, hat, beach", "penny, beach", "penny, hat", "penny", "penny, hat, beach", "penny, beach",
          "penny, forest", "penny, forest", "penny, forest", "penny"]


def opened(tmp_path: Path, captions: list[str], sure: dict[int, dict[str, float]] | None = None) -> CaptionEditor:
    """A set of images called 0.png, 1.png …; ``sure`` are planted confidences by image, ``None`` for no tagger."""
    folder = make_set(tmp_path / "set", {f"{number}.png": caption for number, caption in enumerate(captions)})
    if sure is not None:
        (folder / ".lora_train").mkdir()
        planted = {f"{number}.png": sure.get(number, {"penny": 0.9}) for number in range(len(captions))}
        (folder / ".lora_train" / "confidences.json").write_text(json.dumps(planted))
    return open_editor(folder)


def cause(editor: CaptionEditor, tag: str, prompt: list[str] | None = None) -> TagCause:
    return cause_of(editor.index, editor.confidences(), tag, prompt or [], "penny")


def untagged(editor: CaptionEditor, found: TagCause) -> list[str]:
    return [editor.index.entries[one.number].name for one in found.untagged]


def test_images_that_show_it_untagged_are_listed_the_surest_first_however_it_is_spelled(tmp_path):
    editor = opened(tmp_path, PEOPLE, {3: {"shoulder_bag": 0.7}, 6: {"shoulder_bag": 0.98}, 9: {"shoulder_bag": 0.3}})
    for tag in ("shoulder bag", "Shoulder_Bag"):
        found = cause(editor, tag)
        assert (found.kind, untagged(editor, found)) == ("untagged", ["6.png", "3.png"])
    assert "2 of 10 images show Shoulder_Bag without the tag, so it is learned as a part of penny" in found.text
    assert counts_of(editor.index, editor.confidences(), ["hat", "shoulder_bag"]) == {
        "hat": (3, 0), "shoulder_bag": (0, 2)}


@pytest.mark.parametrize(("said", "shown"), [("penny, red bag", []), ("penny. She carries a Bag over her arm.", []),
                                             ("penny, bag", []), ("penny, handbags", ["0.png"]), ("", ["0.png"])])
def test_a_caption_that_says_it_in_other_words_or_in_a_sentence_is_not_untagged(tmp_path, said, shown):
    editor = opened(tmp_path, [said, *PEOPLE], {0: {"bag": 0.9}})
    assert untagged(editor, cause(editor, "bag")) == shown


def test_regularization_images_and_those_left_out_do_not_count(tmp_path):
    folder = make_set(tmp_path / "set", {"0.png": "penny", "1.png": "penny", "reg/1_girl/2.png": "girl"})
    (folder / ".lora_train").mkdir()
    (folder / ".lora_train" / "confidences.json").write_text(json.dumps(
        {name: {"bag": 0.9} for name in ("0.png", "1.png", "reg/1_girl/2.png")}))
    editor = open_editor(folder)
    set_weights(editor, numbers(editor, "1.png"), None, 0)
    found = cause(editor, "bag")
    assert (untagged(editor, found), found.images) == (["0.png"], 1)


@pytest.mark.parametrize(("captions", "prompt", "tag", "kind", "words"), [
    (["penny, hat"] * 9 + ["penny"], [], "hat", "always", "9 of 10 images have the tag hat: it is always there"),
    (["penny, hat"] * 4 + ["penny"] * 2, [], "hat", "always", "bound to penny"),
    (["penny, hat"] + ["penny"] * 9, [], "hat", "few", "Only 1 image has hat"),
    (PEOPLE, [], "beach", "apart", "4 of 10 images have the tag beach"),
    (PEOPLE, [], "bag", "absent", "No image of the set shows bag, as far as captions and the tagger"),
    (PEOPLE, ["penny", "hat"], "hat", "apart", "The prompt asks for hat."),
    (["penny, uniform, bag"] * 4 + ["penny"] * 6, ["uniform", "Bag"], "bag", "apart",
     "The prompt asks for bag. 4 of 10"),
    (["penny, uniform, bag"] * 4 + ["penny"] * 6, ["penny", "uniform"], "bag", "together",
     "The prompt has uniform, and nearly every image with it shows bag"),
    (["penny, uniform, bag"] * 2 + ["penny, uniform"] * 2 + ["penny, bag"] * 2 + ["penny"] * 4, ["penny", "uniform"],
     "bag", "apart", "4 of 10 images have the tag bag")])
def test_what_the_captions_mean_is_said(tmp_path, captions, prompt, tag, kind, words):
    found = cause(opened(tmp_path, captions, {}), tag, prompt)
    assert (found.kind, words in found.text) == (kind, True), found.text


def test_without_confidences_the_captions_count_and_what_is_unknown_is_listed(tmp_path):
    editor = opened(tmp_path, PEOPLE)
    found = cause(editor, "bag")
    assert (found.kind, len(found.unknown)) == ("absent", 10)
    assert "as far as the captions can say" in found.text
    assert names(editor, [one.number for one in cause(editor, "hat").tagged]) == ["0.png", "2.png", "4.png"]


def test_what_only_the_marked_part_shows_comes_first_and_what_the_prompt_asks_for_last():
    whole = {"1girl": 0.99, "smile": 0.9, "bag": 0.4, "sky": 0.8}
    marked = {"bag": 0.85, "brown_bag": 0.6, "1girl": 0.7, "smile": 0.95, "sky": 0.3, "tree": 0.2}
    found = named_tags(marked, whole, frozenset({"smile"}))
    assert [one.tag for one in found] == ["bag", "brown_bag", "sky", "smile", "1girl"]
    assert [(one.marked, one.whole) for one in found[:2]] == [(0.85, 0.4), (0.6, None)]
    assert [one.tag for one in named_tags({}, whole, frozenset())][:2] == ["smile", "sky"]
    assert named_tags({}, {}, frozenset()) == []
