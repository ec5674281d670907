"""Tags that a crop makes wrong or right."""

from __future__ import annotations

import pytest

from lib_lora_train.captions.framing import Box, parts_of, tag_proposals, with_proposals
from lib_lora_train.pictures.faces import Face

SIZE = (600, 1000)
FACE = Face(300, 110, 100)  # a standing figure: head from 10, hips from 410, feet from 870
TAGS = ["penny", "1girl", "full body", "blonde hair", "blue eyes", "red jacket", "white skirt", "black boots",
        "standing", "outdoors", "day"]


def proposed(crop: Box, faces: tuple[Face, ...] = (FACE,), tags: list[str] = TAGS) -> tuple[set[str], set[str]]:
    found = tag_proposals(tags, SIZE, crop, faces)
    return {item.tag for item in found.remove if item.sure}, {item.tag for item in found.add if item.sure}


@pytest.mark.parametrize(("crop", "remove", "add"), [
    (Box(215, 15, 385, 185), {"full body", "red jacket", "white skirt", "black boots", "standing"}, {"close-up"}),
    (Box(100, 0, 500, 300), {"full body", "white skirt", "black boots", "standing"}, {"portrait"}),
    (Box(50, 0, 550, 430), {"full body", "white skirt", "black boots", "standing"}, {"upper body"}),
    (Box(0, 0, 600, 740), {"full body", "black boots"}, {"cowboy shot"}),
    (Box(0, 5, 600, 1000), set(), set()),
    (Box(100, 450, 500, 1000), {"full body", "blonde hair", "blue eyes", "red jacket"}, {"lower body"}),
    (Box(100, 220, 500, 1000), {"full body", "blonde hair", "blue eyes"}, {"head out of frame"}),
    (Box(200, 860, 400, 1000), {"full body", "blonde hair", "blue eyes", "red jacket", "white skirt", "standing"},
     {"close-up"})])
def test_what_leaves_the_frame_and_what_the_crop_now_is(crop: Box, remove: set[str], add: set[str]):
    assert proposed(crop) == (remove, add)


@pytest.mark.parametrize("framing", ["headshot", "Waist_Up", "thigh up", "feet out of frame", "long shot"])
def test_any_framing_that_the_doctor_knows_is_replaced_by_that_of_the_crop(framing: str):
    assert proposed(Box(100, 0, 500, 300), tags=[framing, "red jacket", "face focus"]) == ({framing}, {"portrait"})


def test_one_face_that_is_left_of_several_people_may_be_alone():
    found = tag_proposals(["2girls", "duo", "4girls", "hat"], SIZE, Box(0, 0, 300, 1000), (FACE, Face(500, 100, 60)))
    assert [item.tag for item in found.remove] == ["2girls", "duo", "4girls"]


def test_without_a_face_the_captions_own_framing_tells_where_the_body_is():
    remove, add = proposed(Box(0, 0, 600, 420), ())
    assert add == {"upper body"} and {"full body", "black boots"} <= remove and "blonde hair" not in remove
    note = tag_proposals(TAGS, SIZE, Box(0, 0, 600, 420), ()).note
    assert "estimated from “full body”" in note
    bare = tag_proposals(["penny", "black boots"], SIZE, Box(0, 0, 200, 200), ())
    assert not bare.remove and not bare.add[0].sure and "No face was found" in bare.note


def test_a_part_that_the_image_never_showed_counts_with_the_lowest_one_in_it():
    """The image ends at the hips, and someone tagged the boots all the same: they go with the hips, not before."""
    found = tag_proposals(["boots", "skirt"], (600, 500), Box(100, 0, 500, 300), (FACE,))
    assert {item.tag for item in found.remove} == {"boots", "skirt"}
    assert not tag_proposals(["boots"], (600, 500), Box(100, 5, 500, 500), (FACE,)).remove


def test_of_two_people_one_may_be_left_which_is_asked_and_never_assumed():
    tags, faces = ["2girls", "hug"], (Face(150, 110, 100), Face(450, 110, 90))
    found = tag_proposals(tags, SIZE, Box(0, 0, 280, 1000), faces)
    assert [(item.tag, item.sure) for item in found.remove] == [("2girls", False)]
    assert ("solo", False) in [(item.tag, item.sure) for item in found.add]
    assert not tag_proposals(tags, SIZE, Box(0, 5, 600, 1000), faces).remove


def test_the_whole_image_changes_nothing():
    assert proposed(Box(0, 0, *SIZE)) == (set(), set())


@pytest.mark.parametrize(("tag", "parts"), [
    ("Red_Boots", ("feet",)), ("thigh boots", ("feet",)), ("crop top", ("chest",)), ("hair ribbon", ("head",)),
    ("saber (fate) hair", ("head",)), ("long dress", ("chest", "hips", "legs")), ("hand on hip", ()),
    ("hair over shoulder", ()), ("night sky", ()), ("upper body", ()), ("", ()), ("(((", ())])
def test_a_tag_goes_by_its_last_known_word(tag: str, parts: tuple[str, ...]):
    assert parts_of(tag) == parts


@pytest.mark.parametrize(("text", "after"), [
    ("penny, full body, boots\nsecond line\n", "penny, portrait\nsecond line\n"),
    ("penny, Full_Body", "penny, portrait"), ("", "portrait"),
    ("A girl stands in a field, and her full body is seen.", "A girl stands in a field, and her full body is seen.")])
def test_a_caption_takes_in_the_chosen_tags_and_prose_stays(text: str, after: str):
    assert with_proposals(text, ["full body", "boots"], ["portrait"], ",") == after
