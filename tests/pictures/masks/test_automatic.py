"""Automatic masks without a model, on drawn images whose subject is known exactly."""

from __future__ import annotations

from collections import deque
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from lib_lora_train.pictures.faces import Face
from lib_lora_train.pictures.masks.border import border_mask, spread
from lib_lora_train.pictures.masks.head import head_mask
from lib_lora_train.pictures.masks.shape import LONGEST_SIDE, NoMaskError, finished, grown, method_of, png_of, shrunk

HEIGHT, WIDTH = 240, 180
Y, X = np.mgrid[0:HEIGHT, 0:WIDTH]
PERSON = (((X - 90) / 35) ** 2 + ((Y - 90) / 45) ** 2 < 1) | ((Y > 150) & (abs(X - 90) < 55))  # touches the lower edge
RING = (np.hypot(X - 90, Y - 120) < 70) & (np.hypot(X - 90, Y - 120) > 40)
BACKGROUNDS = {
    "white": np.full((HEIGHT, WIDTH, 3), 255.0),
    "dark blue": np.broadcast_to([20.0, 25.0, 60.0], (HEIGHT, WIDTH, 3)),
    "sky from top to bottom": np.stack([90 + Y / 4, 130 + Y / 4, 250 - Y / 3], axis=2),
    "light from a corner": np.stack([60 + X / 2 + Y / 3] * 3, axis=2),
    "vignette": np.stack([240 - ((X - 90) ** 2 + (Y - 120) ** 2) / 350] * 3, axis=2),
}


def drawn(background: np.ndarray, subject: np.ndarray, noise: float = 3.0, seed: int = 0) -> Image.Image:
    """A striped red and green subject over ``background``, with noise as of a JPEG."""
    generator = np.random.default_rng(seed)
    stripes = np.where(((X // 6 + Y // 9) % 2)[..., None], [230, 30, 40], [30, 120, 40])
    pixels = np.where(subject[..., None], stripes, background) + generator.normal(0, noise, (HEIGHT, WIDTH, 1))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def overlap(found: np.ndarray, wanted: np.ndarray) -> float:
    """Intersection over union."""
    return float((found & wanted).sum() / (found | wanted).sum())


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_subject_before_a_flat_or_graded_background_is_found(background: str):
    mask = border_mask(drawn(BACKGROUNDS[background], PERSON), 20, enclosed=False)
    assert mask.shape == PERSON.shape and set(np.unique(mask)) == {0, 255}
    assert overlap(mask > 0, PERSON) > 0.98


def test_what_the_subject_encloses_is_background_only_if_asked():
    picture = drawn(BACKGROUNDS["white"], RING)
    whole = np.hypot(X - 90, Y - 120) < 70
    assert overlap(border_mask(picture, 20, enclosed=False) > 0, whole) > 0.97
    assert overlap(border_mask(picture, 20, enclosed=True) > 0, RING) > 0.97


def test_small_spots_stay_what_is_around_them():
    """The white of an eye is no hole, and a speck of dust no subject."""
    eye, dust = np.hypot(X - 90, Y - 80) < 2.5, (abs(X - 20) < 1) & (abs(Y - 20) < 1)
    pixels = np.asarray(drawn(BACKGROUNDS["white"], PERSON)).copy()
    pixels[eye], pixels[dust] = 255, 0
    mask = border_mask(Image.fromarray(pixels), 20, enclosed=True) > 0
    assert mask[80, 90] and not mask[20, 20]


def test_a_border_that_is_not_uniform_is_refused_with_its_share():
    chequered = np.where(((X // 20 + Y // 20) % 2)[..., None], [250.0, 250, 250], [20.0, 20, 20])
    with pytest.raises(NoMaskError, match=r"its border is not uniform enough: \d\d% .* raise the tolerance"):
        border_mask(drawn(chequered, PERSON), 20, enclosed=False)


def test_an_image_without_a_subject_or_without_a_background_is_refused():
    with pytest.raises(NoMaskError, match="everything in it is background; lower the tolerance"):
        border_mask(Image.new("RGB", (64, 64), "navy"), 20, enclosed=False)
    with pytest.raises(NoMaskError):
        border_mask(Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)), 5, False)


def test_a_huge_image_is_masked_in_a_smaller_copy_and_the_mask_enlarged():
    picture = drawn(BACKGROUNDS["white"], PERSON).resize((WIDTH * 20, HEIGHT * 20), Image.Resampling.NEAREST)
    levels = border_mask(picture, 20, enclosed=False)
    assert max(levels.shape) == LONGEST_SIDE
    mask = finished(levels, picture.size, 0, 0)
    assert mask.size == picture.size and mask.mode == "L"
    assert overlap(np.asarray(mask)[::20, ::20] > 127, PERSON) > 0.98


@pytest.mark.parametrize("seed", range(3))
def test_spreading_reaches_what_a_search_pixel_by_pixel_reaches(seed: int):
    generator = np.random.default_rng(seed)
    allowed, seeds = generator.random((23, 31)) < 0.62, generator.random((23, 31)) < 0.01
    waiting, reached = deque(map(tuple, np.argwhere(seeds & allowed))), set(map(tuple, np.argwhere(seeds & allowed)))
    while waiting:
        y, x = waiting.popleft()
        for place in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
            if place not in reached and 0 <= place[0] < 23 and 0 <= place[1] < 31 and allowed[place]:
                reached.add(place)
                waiting.append(place)
    assert set(map(tuple, np.argwhere(spread(seeds, allowed)))) == reached


@pytest.mark.parametrize("radius", [0, 1, 2, 5, 40])
def test_growing_is_the_maximum_over_a_square_and_shrinking_the_minimum(radius: int):
    levels = np.random.default_rng(1).integers(0, 256, (21, 34), dtype=np.uint8)
    for act, pick in ((grown, np.max), (shrunk, np.min)):
        wanted = [[pick(levels[max(0, y - radius):y + radius + 1, max(0, x - radius):x + radius + 1])
                   for x in range(34)] for y in range(21)]
        assert (act(levels, radius) == wanted).all()


def test_feathering_and_growing_are_per_cent_of_the_shorter_side():
    levels = np.zeros((100, 200), np.uint8)
    levels[40:60, 90:110] = 255
    assert np.asarray(finished(levels, (200, 100), 5, 0)).sum() == 255 * 30 * 30
    assert np.asarray(finished(levels, (200, 100), -5, 0)).sum() == 255 * 10 * 10
    soft = np.asarray(finished(levels, (200, 100), 0, 3))
    assert 0 < soft[50, 87] < 255 and soft[50, 70] == 0


def test_the_file_notes_its_method_and_one_made_by_hand_does_not():
    mask = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    assert method_of(png_of(mask, "border")) == "border"
    assert method_of(png_of(mask)) == method_of(b"") == method_of(b"tEXtlora_train_mask") == ""
    assert (np.asarray(Image.open(BytesIO(png_of(mask, "subject")))) == np.asarray(mask)).all()


def test_a_face_is_grown_to_head_and_shoulders():
    face = Face(100, 80, 40)
    alone = head_mask((200, 300), [face], 1.0) > 0
    assert alone[80, 100] and not alone[80, 125] and not alone[105, 100]
    wide = head_mask((200, 300), [face], 2.5) > 0
    ys, xs = np.nonzero(wide)
    assert abs(xs.min() - 50) <= 1 and abs(xs.max() - 150) <= 1  # 2.5 · 40 wide, around the face
    assert abs(ys.min() - 40) <= 1 and abs(ys.max() - 140) <= 1  # 40 % of 100 above the middle, 60 % below
    two = head_mask((200, 300), [face, Face(40, 250, 20)], 2.5) > 0
    assert two[80, 100] and two[250, 40] and (two & wide == wide).all()
    with pytest.raises(NoMaskError, match="no face was detected"):
        head_mask((200, 300), [], 2.5)


def test_a_face_in_a_huge_image_is_masked_at_a_smaller_size():
    levels = head_mask((6000, 3000), [Face(3000, 1500, 600)], 2.0)
    assert levels.shape == (LONGEST_SIDE // 2, LONGEST_SIDE) and levels[LONGEST_SIDE // 4, LONGEST_SIDE // 2]
