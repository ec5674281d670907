"""The training image that a sample was learned from is found by what is measured, and a copy is called one."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from lib_lora_train.captions.causes.nearest import Features, nearest
from lib_lora_train.pictures.images import open_picture

DEMO = Path(__file__).resolve().parents[3] / "demo"


@pytest.fixture(scope="module")
def hearts() -> list[tuple[str, Image.Image]]:
    return [(path.stem, open_picture(path)) for path in sorted((DEMO / "pictures").glob("*.webp"))]


@pytest.fixture(scope="module")
def known(hearts):
    """The training images as the search is given them."""
    return [(number, Features.of_picture(picture), {}) for number, (_, picture) in enumerate(hearts)]


def cropped(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    return picture.crop((width // 16, height // 16, width - width // 16, height)).resize((128, 128))


CHANGES = {
    "smaller": (lambda picture: picture.resize((128, 128)), True),
    "blurred": (lambda picture: picture.filter(ImageFilter.GaussianBlur(3)), True),
    "mirrored": (ImageOps.mirror, True),
    "paler": (lambda picture: ImageEnhance.Color(picture).enhance(0.7), False),
    "darker": (lambda picture: ImageEnhance.Brightness(picture).enhance(0.85), True),
    "cropped": (cropped, False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_image_is_found_and_what_is_nearly_the_same_is_a_copy(hearts, known, change):
    act, is_same = CHANGES[change]
    found = [nearest(act(picture), {}, known)[0] for _, picture in hearts]
    assert sum(near.number == number for number, near in enumerate(found)) >= 19  # of 21 that are all hearts
    if is_same:
        assert all(near.kind == "copy" for near in found)


def test_images_that_were_not_trained_on_are_no_copies(hearts, known):
    others = [open_picture(path) for path in sorted((DEMO / "held_out").glob("*.webp"))]
    copies = [near.number for picture in others for near in nearest(picture, {}, known) if near.kind == "copy"]
    assert copies == []


def test_an_image_much_nearer_to_one_than_to_all_others_may_be_memorized(hearts, known):
    """Paler ones are no copies any more; the set's own images, each left out once, are as alike as hearts are."""
    warned = [nearest(ImageEnhance.Color(picture).enhance(0.6), {}, known)[0] for _, picture in hearts]
    assert sum(near.kind != "" and near.number == number for number, near in enumerate(warned)) >= 15
    others = [nearest(picture, {}, [one for one in known if one[0] != number])[0]
              for number, (_, picture) in enumerate(hearts)]
    assert [near.kind for near in others] == [""] * len(others)


def test_a_second_copy_in_the_set_does_not_hide_the_first(hearts, known):
    paler = ImageEnhance.Color(hearts[0][1]).enhance(0.6)
    alone = nearest(paler, {}, known)[0]
    twice = nearest(paler, {}, [*known, (99, Features.of_picture(hearts[0][1]), {})])[0]
    assert (alone.kind, twice.kind, alone.number, twice.number) == ("close", "close", 0, 0)


def test_what_the_tagger_sees_decides_between_images_of_equal_colours():
    grey = Image.new("RGB", (64, 64), (120, 120, 120))
    features = Features.of_picture(grey)
    found = nearest(grey, {"hat": 0.9, "smile": 0.5}, [(0, features, {"tree": 0.9}), (1, features, {"hat": 0.8})])
    assert [near.number for near in found] == [1, 0]
    assert nearest(grey, {"hat": 0.9}, []) == []
