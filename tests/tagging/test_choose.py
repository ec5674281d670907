"""Which tags are kept and how they are spelled, by table."""

from __future__ import annotations

import numpy as np
import pytest

from lib_lora_train.config.groups.tagging import TagRuleSettings
from lib_lora_train.tagging.choose import TagChooser, mcut_threshold, spelled
from lib_lora_train.tagging.tag_list import TagList

TAGS = (("general", 9, .1), ("sensitive", 9, .8), ("1girl", 0, .99), ("red_boots", 0, .36), ("boots", 0, .35),
        ("simple_background", 0, .9), ("^_^", 0, .5), ("sword", 0, .05), ("saber_(fate)", 4, .86), ("rin", 4, .5))
FACES = ("0_0", "(o)_(o)", "+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", "3_3", "6_9", ">_o", "@_@", "^_^",
         "o_o", "u_u", "x_x", "|_|", "||_||")
CONFIDENCES = np.array([confidence for _, _, confidence in TAGS], np.float32)


def chosen(**rules) -> tuple[str, ...]:
    places = {category: np.array([n for n, tag in enumerate(TAGS) if tag[1] == category]) for category in (0, 4, 9)}
    tag_list = TagList(tuple(name for name, _, _ in TAGS), places[0], places[4], places[9])
    return TagChooser(tag_list, TagRuleSettings(**rules)).choose(CONFIDENCES).tags


@pytest.mark.parametrize(("rules", "expected"), [
    ({}, ["saber (fate)", "1girl", "simple background", "^_^", "red boots"]),
    ({"general_threshold": 0.6}, ["saber (fate)", "1girl", "simple background"]),
    ({"general_threshold": 0.35, "character_threshold": 0.4}, ["saber (fate)", "rin", "1girl", "simple background",
                                                              "^_^", "red boots"]),
    ({"character_threshold": 0.86}, ["1girl", "simple background", "^_^", "red boots"]),  # not surer than 0.86
    ({"rating_tag": True}, ["saber (fate)", "1girl", "simple background", "^_^", "red boots", "sensitive"]),
    ({"replace_underscore": False}, ["saber_(fate)", "1girl", "simple_background", "^_^", "red_boots"]),
    ({"escape_brackets": True}, [r"saber \(fate\)", "1girl", "simple background", "^_^", "red boots"]),
    ({"exclude_tags": ["Simple Background", "1girl"]}, ["saber (fate)", "^_^", "red boots"]),
    ({"exclude_tags": ["*back*", "saber (*)"]}, ["1girl", "^_^", "red boots"]),
    ({"exclude_tags": ["boots"]}, ["saber (fate)", "1girl", "simple background", "^_^", "red boots"]),
    ({"exclude_tags": ["sensitive"], "rating_tag": True}, ["saber (fate)", "1girl", "simple background", "^_^",
                                                           "red boots"]),
    ({"max_tags": 2}, ["1girl", "simple background"]),
    ({"max_tags": 3}, ["saber (fate)", "1girl", "simple background"]),
    ({"max_tags": 1, "rating_tag": True}, ["1girl", "sensitive"]),
    ({"general_mcut": True}, ["saber (fate)", "1girl", "simple background"]),  # widest gap: 0.9 to 0.5
    ({"character_mcut": True}, ["saber (fate)", "1girl", "simple background", "^_^", "red boots"]),
])
def test_the_tags_of_a_picture(rules, expected):
    assert list(chosen(**rules)) == expected


@pytest.mark.parametrize(("confidences", "expected"), [
    ([0.9, 0.8, 0.2, 0.1], 0.5), ([0.1, 0.9], 0.5), ([0.99, 0.5, 0.4, 0.05], 0.745), ([0.3, 0.3], 0.3), ([0.4], 0.0),
    ([], 0.0),
])
def test_mcut_is_the_middle_of_the_widest_gap(confidences, expected):
    assert mcut_threshold(np.array(confidences, np.float32)) == pytest.approx(expected, abs=1e-6)


def test_mcut_for_names_never_goes_below_its_floor():
    tag_list = TagList(("a", "b", "c"), np.array([], np.int64), np.array([0, 1, 2]), np.array([], np.int64))
    chooser = TagChooser(tag_list, TagRuleSettings(character_mcut=True))
    assert chooser.choose(np.array([0.14, 0.02, 0.01], np.float32)).tags == ()
    assert chooser.choose(np.array([0.16, 0.02, 0.01], np.float32)).tags == ("a",)


@pytest.mark.parametrize("face", FACES)
def test_faces_keep_their_underscore(face):
    assert spelled(face, True) == face


def test_there_are_nineteen_faces_and_other_tags_get_spaces():
    assert len(FACES) == 19
    assert spelled("looking_at_viewer", True) == "looking at viewer"
    assert spelled("looking_at_viewer", False) == "looking_at_viewer"


def test_confidences_are_kept_by_their_plain_spelling_and_only_where_likely():
    places = [np.array([n for n, tag in enumerate(TAGS) if tag[1] == category]) for category in (0, 4, 9)]
    chooser = TagChooser(TagList(tuple(name for name, _, _ in TAGS), *places), TagRuleSettings(escape_brackets=True))
    kept = chooser.choose(CONFIDENCES).confidences
    assert kept == {"1girl": .99, "simple background": .9, "saber (fate)": .86, "^_^": .5, "rin": .5,
                    "red boots": .36, "boots": .35}
