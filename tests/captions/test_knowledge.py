"""What the machine knows about tags: consolidating, doubtful tags, the trigger word, on and off."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from lib_lora_train.captions.activation import not_first, on_and_off
from lib_lora_train.captions.confidences import Confidences
from lib_lora_train.captions.consolidate import Suggestion, consolidated, suggestions
from lib_lora_train.captions.doubtful import Doubt, doubts, fixed, keep, read_kept
from lib_lora_train.captions.editor.index import EditorIndex
from lib_lora_train.errors import DatasetError
from lib_lora_train.pictures.listing import PictureFile


def index_of(captions: list[str]) -> EditorIndex:
    index = EditorIndex(",")
    for number, caption in enumerate(captions):
        entry = index.add(PictureFile(f"{number}.png", 0, 0, f"{number}.txt"))
        index.set_caption(entry.caption, caption.encode(), None)
    return index


def in_short(found: list[Suggestion]) -> list[tuple[str, set[str], int]]:
    return [(item.keep, set(item.drop), len(item.pictures)) for item in found]


def test_the_guides_example_becomes_red_boots():
    index = index_of(["penny, boots, red footwear, red boots, hat"] * 5 + ["penny, black boots, boots"] * 2)
    assert in_short(suggestions(index, "penny")) == [("red boots", {"boots", "red footwear"}, 5),
                                                     ("black boots", {"boots"}, 2)]
    found = suggestions(index)[0]
    assert consolidated(["penny", "boots", "red footwear", "red boots", "hat"], found) == ["penny", "red boots", "hat"]


def test_boots_and_red_footwear_add_up_to_red_boots_but_boots_alone_do_not():
    index = index_of(["boots, red footwear, red boots"] * 3 + ["boots, red footwear", "boots", "red footwear"])
    found = suggestions(index)[0]
    assert found.pictures == (0, 1, 2, 3) and found.adds_up == (3,)
    assert consolidated(["boots", "red footwear"], found) == ["red boots"]


def test_the_longest_of_a_chain_is_kept():
    index = index_of(["hair, long hair, very long hair"] * 4 + ["long hair, hair"] * 3)
    assert in_short(suggestions(index)) == [("long hair", {"hair"}, 7), ("very long hair", {"hair", "long hair"}, 4)]


@pytest.mark.parametrize("caption", [
    "hair, hair ornament",            # an ornament is no hair
    "flower, flower field",           # nor is a field a flower
    "no hat, hat",                    # one denies the other
    "red boots, blue boots",          # two things
    "red boots, red hat",             # of one colour only
    "boots, hat",
])
def test_what_says_different_things_is_left(caption: str):
    assert suggestions(index_of([caption] * 5)) == []


def test_holding_goes_with_what_is_held():
    assert in_short(suggestions(index_of(["holding, holding sword, sword"] * 2))) == [
        ("holding sword", {"holding", "sword"}, 2)]


def test_tags_that_meet_only_once_are_left():
    assert suggestions(index_of(["boots, red boots"] + ["red boots"] * 5 + ["boots"] * 5)) == []


def confidences_of(content: Mapping[str, dict[str, float]]) -> Confidences:
    found = Confidences()
    for path, tags in content.items():
        found.add(path, tags)
    return found


def kinds(found: list[Doubt]) -> list[tuple[str, str, str, str]]:
    return [(doubt.kind, doubt.picture, doubt.tag, doubt.instead) for doubt in found]


def test_brown_hair_in_two_of_forty_pictures_with_blonde_hair():
    index = index_of(["penny, brown hair, hat"] * 2 + ["penny, blonde hair, hat"] * 38)
    found = doubts(index, Confidences(), frozenset())
    assert kinds(found) == [("rare", f"{number}.png", "brown hair", "blonde hair") for number in (0, 1)]
    assert found[0].why() == "2 of 40 images have brown hair, 38 have blonde hair."
    assert fixed(["penny", "brown hair", "hat"], found[0]) == ["penny", "blonde hair", "hat"]
    assert fixed(["brown hair", "blonde hair"], found[0]) == ["blonde hair"]


def test_a_set_with_two_hair_colours_or_few_pictures_is_not_doubted():
    assert doubts(index_of(["brown hair"] * 15 + ["blonde hair"] * 20), Confidences(), frozenset()) == []
    assert doubts(index_of(["brown hair"] + ["blonde hair"] * 3), Confidences(), frozenset()) == []
    assert doubts(index_of(["red boots"] + ["blue hat"] * 30), Confidences(), frozenset()) == []


def test_lengths_are_compared_with_lengths():
    found = doubts(index_of(["short hair"] + ["very long hair"] * 20), Confidences(), frozenset())
    assert kinds(found) == [("rare", "0.png", "short hair", "very long hair")]


def test_tags_of_one_picture_that_exclude_each_other():
    found = doubts(index_of(["open mouth, closed mouth"] + ["open mouth"] * 3), Confidences(), frozenset())
    assert kinds(found) == [("clash", "0.png", "closed mouth", "open mouth")]
    assert fixed(["open mouth", "closed mouth"], found[0]) == ["open mouth"]
    assert doubts(index_of(["2girls, multiple girls, standing"] * 3), Confidences(), frozenset()) == []


def test_the_tagger_doubts_what_it_is_unsure_of_and_misses_what_it_is_sure_of():
    index = index_of(["penny, hat", "red boots", "hat, boots", "glasses"])
    sure = confidences_of({"0.png": {"hat": 0.36, "glasses": 0.97, "penny": 0.99}, "1.png": {"boots": 0.95},
                           "2.png": {"sword": 0.99, "hat": 0.9}})
    found = doubts(index, sure, frozenset())
    assert kinds(found) == [("unsure", "0.png", "hat", ""), ("missing", "0.png", "glasses", "")]
    assert found[0].why() == "The tagger is only 36% sure of it."
    assert fixed(["penny", "hat"], found[0]) == ["penny"] and fixed(["penny"], found[1]) == ["penny", "glasses"]


def test_what_was_kept_is_not_asked_again(tmp_path: Path):
    index = index_of(["brown hair"] * 2 + ["blonde hair"] * 38)
    first = doubts(index, Confidences(), read_kept(tmp_path))
    keep(tmp_path, [first[0].key])
    assert kinds(doubts(index, Confidences(), read_kept(tmp_path))) == kinds(first[1:])


def test_a_link_in_place_of_the_editors_own_file_is_not_followed(tmp_path: Path):
    (tmp_path / ".lora_train").mkdir()
    (tmp_path / ".lora_train" / "kept.json").symlink_to("/etc/hostname")
    with pytest.raises(DatasetError, match="link"):
        read_kept(tmp_path)


def test_the_activation_tag_is_missed_where_it_is_not_first():
    index = index_of(["penny, hat", "hat, penny", "hat", "", "A photo of Penny in a field of flowers.",
                      "A photo of a girl in a field of flowers."])
    assert not_first(index, "penny") == [1, 2, 3, 5]
    assert not_first(index, " ") == []


@pytest.mark.parametrize(("on", "off", "words"), [
    (0, 10, "No caption has hat"), (10, 0, "part of what is learned as a whole"), (2, 10, "too few to learn it apart"),
    (10, 2, "hard to leave out"), (5, 5, "with and without hat")])
def test_on_and_off_with_the_guides_rule(on: int, off: int, words: str):
    index = index_of(["penny, hat"] * on + ["penny"] * off + ["", ""])
    found = on_and_off(index, "hat")
    assert (found.on, found.off) == (on, off) and words in found.advice
