"""Which tags are kept and how they are spelled, by table."""

from __future__ import annotations

import numpy as np
import pytest

from lib_lora_train.config.groups.tagging import TagRuleSettings
from lib_lora_train.tagging.choose import TagChooser, mcut_threshold, spelled
from lib_lora_train.tagging.tag_list import TagList

TAGS = (("general", 9, .1), ("sensitive", 9, .8), ("1girl", 0, .99), ("red_boots", 0, .36), ("boots", 0, .35),
        ("simple_background", 0, .9), ("^_^", 0, .5), ("sword", 0, .05), ("saber_(fate)", 4, .86), ("rin", 4, .5))
RATED = ["general", "character", "rating"]
FACES = ("0_0", "(o)_(o)", "+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", "3_3", "6_9", ">_o", "@_@", "^_^",
         "o_o", "u_u", "x_x", "|_|", "||_||")
CATEGORIES = {0: "general", 4: "character", 9: "rating"}
LIST = TagList(tuple(name for name, _, _ in TAGS), tuple(CATEGORIES[number] for _, number, _ in TAGS))
CONFIDENCES = np.array([confidence for _, _, confidence in TAGS], np.float32)


def chosen(**rules) -> tuple[str, ...]:
    return TagChooser(LIST, TagRuleSettings(**rules)).choose(CONFIDENCES).tags


@pytest.mark.parametrize(("rules", "expected"), [
    ({}, ["saber (fate)", "1girl", "simple background", "^_^", "red boots"]),
    ({"general_threshold": 0.6}, ["saber (fate)", "1girl", "simple background"]),
    ({"general_threshold": 0.35, "character_threshold": 0.4}, ["saber (fate)", "rin", "1girl", "simple background",
                                                              "^_^", "red boots"]),
    ({"character_threshold": 0.86}, ["1girl", "simple background", "^_^", "red boots"]),  # not surer than 0.86
    ({"categories": RATED}, ["saber (fate)", "1girl", "simple background", "^_^", "red boots", "sensitive"]),
    ({"replace_underscore": False}, ["saber_(fate)", "1girl", "simple_background", "^_^", "red_boots"]),
    ({"escape_brackets": True}, [r"saber \(fate\)", "1girl", "simple background", "^_^", "red boots"]),
    ({"exclude_tags": ["Simple Background", "1girl"]}, ["saber (fate)", "^_^", "red boots"]),
    ({"exclude_tags": ["*back*", "saber (*)"]}, ["1girl", "^_^", "red boots"]),
    ({"exclude_tags": ["boots"]}, ["saber (fate)", "1girl", "simple background", "^_^", "red boots"]),
    ({"exclude_tags": ["sensitive"], "categories": RATED}, ["saber (fate)", "1girl", "simple background", "^_^",
                                                           "red boots"]),
    ({"max_tags": 2}, ["1girl", "simple background"]),
    ({"max_tags": 3}, ["saber (fate)", "1girl", "simple background"]),
    ({"max_tags": 1, "categories": RATED}, ["1girl", "sensitive"]),
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
    tag_list = TagList(("a", "b", "c"), ("character",) * 3)
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
    chooser = TagChooser(LIST, TagRuleSettings(escape_brackets=True))
    kept = chooser.choose(CONFIDENCES).confidences
    assert kept == {"1girl": .99, "simple background": .9, "saber (fate)": .86, "^_^": .5, "rin": .5,
                    "red boots": .36, "boots": .35}


EVERY = TagList(("safe", "explicit", "best_quality", "normal_quality", "1girl", "wolf", "saber", "fate", "someone",
                 "highres", "2015", "sdxl"),
                ("rating", "rating", "quality", "quality", "general", "species", "character", "copyright", "artist",
                 "meta", "year", "model"),
                thresholds={"general": 0.6, "copyright": 0.3, "year": 0.9}, own_thresholds={5: 0.8})
HALF = np.array([.2, .1, .3, .4, .7, .7, .9, .5, .9, .6, .8, .55], np.float32)


@pytest.mark.parametrize(("rules", "expected"), [
    ({}, ["saber", "fate", "1girl"]),  # wolf has a threshold of its own
    ({"general_threshold": 0.65}, ["saber", "fate", "1girl", "wolf"]),
    ({"copyright_threshold": 0.6}, ["saber", "1girl"]),
    ({"character_threshold": 0.6}, ["saber", "1girl"]),  # of series too, if they have none
    ({"character_threshold": 0.95, "copyright_threshold": 0.4}, ["fate", "1girl"]),
    ({"categories": ["general", "artist", "meta", "year", "model"]}, ["someone", "1girl", "highres", "sdxl"]),
    ({"categories": ["meta", "year", "model"], "meta_threshold": 0.58}, ["2015", "highres"]),
    ({"categories": ["rating", "quality"]}, ["normal quality", "safe"]),
    ({"categories": ["rating", "quality"], "exclude_tags": ["*quality"]}, ["safe"]),
    ({"categories": []}, []),
])
def test_categories_and_their_thresholds(rules, expected):
    assert list(TagChooser(EVERY, TagRuleSettings(**rules)).choose(HALF).tags) == expected


@pytest.mark.parametrize(("tags", "expected"), [
    (["hair", "long hair", "very long hair", "blonde hair"], ["very long hair", "blonde hair"]),
    (["hair", "hair ribbon", "ribbon"], ["hair", "hair ribbon"]),
    (["hip", "hand on hip", "hand"], ["hip", "hand on hip", "hand"]),
    (["humans", "no humans", "shoes", "unworn shoes"], ["humans", "no humans", "shoes", "unworn shoes"]),
    (["simple background", "white background"], ["white background"]),
    (["background", "blurry background"], ["blurry background"]),
    (["cat", "catgirl"], ["cat", "catgirl"]), (["1girl"], ["1girl"]), ([], []),
    (["long hair", "absurdly long hair"], ["absurdly long hair"]),
    (["long_hair", "very_long_hair"], ["very long hair"]),
])
def test_implied_tags_are_left_out_on_request(tags, expected):
    tag_list = TagList((*tags, "long_hair_(person)"), (*["general"] * len(tags), "character"))
    confidences = np.linspace(0.99, 0.9, len(tags) + 1).astype(np.float32)
    found = TagChooser(tag_list, TagRuleSettings(drop_implied=True)).choose(confidences).tags
    assert [tag for tag in found if "person" not in tag] == expected
    assert "long hair (person)" in found
    whole = TagChooser(tag_list, TagRuleSettings()).choose(confidences).tags
    assert len(whole) == len(tags) + 1
